"""WGSL that users give: one expression over declared inputs, or one function. Neither is trusted: what is not understood is
refused before any driver sees it, so that no text can add bindings, entry points or statements to a kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .. import prelude
from ..errors import did_you_mean
from .handles import refuse

MAX_LENGTH = 8192

# The names that an expression may use: WGSL's types and its builtin functions of numbers.
# https://www.w3.org/TR/WGSL/#builtin-functions
TYPES = {
    "f32",
    "i32",
    "u32",
    "bool",
    "vec2",
    "vec3",
    "vec4",
    "vec2f",
    "vec3f",
    "vec4f",
    "vec2i",
    "vec2u",
    "vec4i",
    "vec4u",
}
FUNCTIONS = set(
    """
    abs acos acosh all any asin asinh atan atan2 atanh bitcast ceil clamp cos cosh countLeadingZeros countOneBits
    countTrailingZeros cross degrees distance dot exp exp2 extractBits faceForward firstLeadingBit firstTrailingBit floor fma
    fract insertBits inverseSqrt ldexp length log log2 max min mix normalize pow quantizeToF16 radians reflect reverseBits
    round saturate select sign sin sinh smoothstep sqrt step tan tanh trunc true false
    """.split()
)
STATEMENTS = set(
    """
    break case const const_assert continue continuing default discard else fn for if let loop override return struct switch
    var while alias enable requires diagnostic ptr array atomic
    """.split()
)
TOKEN = re.compile(
    r"\s+|\{[A-Za-z_][A-Za-z0-9_]*\}"  # an input
    r"|(?:0[xX][0-9a-fA-F]+[iu]?|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?[iufh]?)"
    r"|[A-Za-z_][A-Za-z0-9_]*"
    r"|&&|\|\||<<|>>|<=|>=|==|!=|[-+*/%&|^~!<>(),.\[\]]",
    re.ASCII,
)
PRELUDE_KINDS = ("f32", "i32", "u32", "i64", "f64", "bool")


def check_expression(text: object, inputs: Iterable[str], call: str) -> str:
    """`text` when it is one WGSL expression over `{x}`, `{y}` ... and known functions; else invalid_config_error.

    >>> check_expression("wt_exp(-{x} * {x})", ["x"], "registerUnaryOp('bell')")
    'wt_exp(-{x} * {x})'
    """
    inputs = list(inputs)
    if not isinstance(text, str) or not text.strip():
        refuse("invalid_config_error", f"{call}: the WGSL must be a string that holds one expression, not {text!r}")
    if len(text) > MAX_LENGTH:
        refuse("invalid_config_error", f"{call}: the WGSL has {len(text)} characters; {MAX_LENGTH} are allowed")
    position, depth, previous = 0, [], ""
    used = set()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match[0] in ("//", "/*") or text.startswith(("//", "/*"), position):
            refuse(
                "invalid_config_error",
                f"{call}: {text[position : position + 1]!r} at character {position + 1} of {text!r} is not part of an expression: "
                "only one expression is allowed, without statements, attributes, comments, braces or semicolons",
            )
        token = match[0]
        position = match.end()
        if token.isspace():
            continue
        if token[0] == "{":
            name = token[1:-1]
            if name not in inputs:
                known = ", ".join("{" + each + "}" for each in inputs)
                refuse("invalid_config_error", f"{call}: {token} in {text!r} is not declared; there are {known}")
            used.add(name)
        elif token[0].isalpha() or token[0] == "_":
            if previous != ".":
                check_word(token, text, inputs, call)
        elif token in "([":
            depth.append(token)
        elif token in ")]":
            if not depth or depth.pop() + token not in ("()", "[]"):
                refuse("invalid_config_error", f"{call}: {token!r} in {text!r} closes nothing; balance the parentheses")
        previous = token
    if depth:
        refuse("invalid_config_error", f"{call}: {depth[-1]!r} in {text!r} is never closed; balance the parentheses")
    return text


def check_word(word: str, text: str, inputs: list[str], call: str) -> None:
    if word in STATEMENTS:
        refuse(
            "invalid_config_error", f"{call}: {word!r} in {text!r} begins a statement or a type; give one expression"
        )
    if word in TYPES or word in FUNCTIONS:
        return
    if word.startswith("wt_") and (prelude.has(word) or any(prelude.has(f"{word}_{kind}") for kind in PRELUDE_KINDS)):
        return
    if word in inputs:
        refuse(
            "invalid_config_error", f"{call}: write {{{word}}} instead of {word} in {text!r}: inputs stand in braces"
        )
    known = [
        *FUNCTIONS,
        *TYPES,
        *(f"wt_{name}" for name in ("exp", "log", "sin", "cos", "tanh", "pow", "sigmoid", "erf")),
    ]
    refuse(
        "invalid_config_error",
        f"{call}: {word!r} in {text!r} is neither an input nor a function of WGSL or of webtorch's prelude."
        + did_you_mean(word, known),
    )


SIGNATURE = re.compile(
    r"\s*fn\s+([A-Za-z][A-Za-z0-9_]*)\s*\(\s*([A-Za-z][A-Za-z0-9_]*)\s*:\s*u32\s*\)\s*->\s*T\s*\{", re.ASCII
)
WORD = re.compile(r"(?<![A-Za-z0-9_.])[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
FORBIDDEN = {"struct", "override", "alias", "enable", "requires", "diagnostic", "atomic", "ptr", "const_assert", "private",
             "storage", "uniform", "immediate", "workgroup", "function", "params", "workgroupBarrier", "storageBarrier"}  # fmt: skip


def check_function(text: object, inputs: Iterable[str], call: str) -> tuple[str, str]:
    """The name and the text of a WGSL function `fn name(i: u32) -> T { ... }`, which computes element i of the result and
    reads the inputs with `load_x(k)`; else kernel_signature_mismatch_error or invalid_config_error.
    """
    if not isinstance(text, str):
        refuse(
            "invalid_config_error", f"{call}: a webgpu kernel is the text of a WGSL function, not {type(text).__name__}"
        )
    if len(text) > MAX_LENGTH:
        refuse("invalid_config_error", f"{call}: the WGSL has {len(text)} characters; {MAX_LENGTH} are allowed")
    match = SIGNATURE.match(text)
    if match is None:
        refuse(
            "kernel_signature_mismatch_error",
            f"{call}: a webgpu kernel is one function `fn name(i: u32) -> T {{ ... }}`, which gives element i of the result; the "
            f"text begins with {text.strip()[:60]!r}",
        )
    if re.search(r"[@\"'#$`\\]|//|/\*", text):
        refuse(
            "invalid_config_error", f"{call}: attributes, comments, strings and backslashes are not allowed in a kernel"
        )
    depth = 0
    for position in range(match.end() - 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0 and text[position + 1 :].strip():
            refuse(
                "invalid_config_error", f"{call}: something follows the function; give one function and nothing else"
            )
        if depth < 0:
            break
    if depth != 0:
        refuse("invalid_config_error", f"{call}: the braces of the kernel are not balanced")
    loads = {f"load_{name}" for name in inputs} | {f"size_{name}" for name in inputs} | {"size"}
    for word in WORD.findall(text[match.end() :]):
        if word in FORBIDDEN or word == "fn":
            refuse(
                "invalid_config_error", f"{call}: {word!r} is not allowed in a kernel, which is one function of numbers"
            )
        if word.startswith(("load_", "read_", "write_", "store", "input_", "output_", "size_")) and word not in loads:
            refuse(
                "kernel_signature_mismatch_error",
                f"{call}: {word!r} does not exist; this op's kernel can call {', '.join(sorted(loads))}",
            )
    return match[1], text
