"""Switches of PyTorch's code generator that programs set; they change nothing here."""

from types import SimpleNamespace

debug = False
max_autotune = False
coordinate_descent_tuning = False
fx_graph_cache = True
epilogue_fusion = True
conv_1x1_as_mm = False
compile_threads = 1
triton = SimpleNamespace(cudagraphs=False, unique_kernel_names=False)
