// jax-js on WebGPU. Mode jit: inside jax.jit; eager: one kernel per primitive.
import { adapterName, NotOffered, serve, setUp, UNARIES, version } from './serve.mjs';

// Node 20 lacks the iterator helpers that jax-js needs.
const iterators = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
iterators.map ??= function* (f) { let i = 0; for (const x of this) yield f(x, i++); };
iterators.filter ??= function* (f) { for (const x of this) if (f(x)) yield x; };
iterators.toArray ??= function () { return [...this]; };

const FOLDER = process.env.PEER_FOLDER;
const { require, load } = await setUp(FOLDER);
const jax = await load('@jax-js/jax');
await jax.init('webgpu');
jax.defaultDevice('webgpu');
const { numpy: np, nn, lax, jit, grad, valueAndGrad, tree, blockUntilReady } = jax;

const upload = ({ data, shape, dtype }) => np.array(data, { dtype }).reshape(shape);
const unary = { sin: np.sin, cos: np.cos, tanh: np.tanh, sigmoid: nn.sigmoid, exp: np.exp, neg: x => x.neg(),
  abs: np.absolute, sqrt: np.sqrt, square: np.square, relu: nn.relu };
const norm = (x, weight, bias) => nn.standardize(x, -1).mul(weight).add(bias);

async function done(y) {
  const last = y.ref.slice(...y.shape.map(n => n - 1));
  await last.data();
  return y;
}
const whole = y => y.data();
const free = y => { try { y.dispose(); } catch { /* read, and so given back */ } };

function block(x, p) {
  const [batch, length, width] = x.shape, heads = 8;
  const qkv = np.matmul(norm(x.ref, p.g1, p.c1), p.wqkv).add(p.bqkv).reshape([batch, length, 3, heads, width / heads]);
  const [q, k, v] = [qkv.ref.slice([], [], 0), qkv.ref.slice([], [], 1), qkv.slice([], [], 2)];
  const y = x.add(np.matmul(nn.dotProductAttention(q, k, v).reshape([batch, length, width]), p.wo).add(p.bo));
  const u = nn.gelu(np.matmul(norm(y.ref, p.g2, p.c2), p.w1).add(p.b1));
  return y.add(np.matmul(u, p.w2).add(p.b2));
}

const simple = {
  matmul: (a, b) => np.matmul(a, b),
  chain: (a, b, c) => nn.relu(a.ref.mul(b).add(c)).mul(nn.sigmoid(a)),
  softmax: a => nn.softmax(a, -1),
  layernorm: norm,
  conv: (x, weight) => lax.conv(x, weight, [1, 1], 'SAME'),
  cumsum: a => np.cumsum(a),
  sort: a => np.sort(a),
  gather: (a, index) => np.take(a, index),
  transpose: a => a.transpose().add(0),
  cross: (x, labels) => grad((x, y) => nn.logSoftmax(x, -1).mul(y).sum().mul(-1 / 4096))(x, nn.oneHot(labels, 1000)),
  attention: (q, k, v) => {
    const [a, b, c] = [q, k, v].map(x => np.transpose(x, [0, 2, 1, 3]));
    return np.transpose(nn.dotProductAttention(a, b, c), [0, 2, 1, 3]);
  },
};

async function prepare(task, arrays, mode) {
  const kind = task.split('-')[0], compiled = f => mode === 'jit' ? jit(f) : f;
  if (mode === 'eager' && !['ops', 'mlp', 'matmul'].includes(kind)) throw new NotOffered('slower than with jit');
  if (kind === 'adamw' || kind === 'scatter') throw new NotOffered('no such op');
  const values = arrays.map(upload);
  await blockUntilReady(values.map(x => x.ref));
  const end = () => values.forEach(free);
  if (kind === 'ops') {
    const hundred = task === 'ops-1000'
      ? (x, y) => { for (let i = 0; i < 100; i++) x = x.add(y.ref); y.dispose(); return x; }
      : x => { for (let i = 0; i < 10; i++) for (const name of UNARIES) x = unary[name](x); return x; };
    const step = compiled(hundred);
    const run = async () => {
      let x = values[0].ref;
      for (let i = 0; i < 10; i++) x = step(x, ...values.slice(1).map(y => y.ref));
      return done(x);
    };
    return { run, whole, free, end };
  }
  if (kind === 'mlp') {
    const [x, labels, ...flat] = values, y = nn.oneHot(labels, 10);
    let weights = [0, 2, 4].map(i => ({ w: flat[i], b: flat[i + 1] }));
    const loss = (weights, x, y) => {
      let h = x;
      weights.forEach((p, i) => { h = np.matmul(h, p.w).add(p.b); if (i < 2) h = nn.relu(h); });
      return nn.logSoftmax(h, -1).mul(y).sum().mul(-1 / 128);
    };
    const step = compiled((weights, x, y) => {
      const [value, gradients] = valueAndGrad(loss)(tree.ref(weights), x, y);
      return [value, weights.map((p, i) => ({ w: p.w.sub(gradients[i].w.mul(0.01)), b: p.b.sub(gradients[i].b.mul(0.01)) }))];
    });
    const run = async () => {
      const [value, next] = step(weights, x.ref, y.ref);
      weights = next;
      await blockUntilReady(tree.ref(weights));
      return (await value.data())[0];
    };
    return { run, whole: async value => [value] };
  }
  if (kind === 'block') {
    const names = ['wqkv', 'bqkv', 'wo', 'bo', 'w1', 'b1', 'w2', 'b2', 'g1', 'c1', 'g2', 'c2'];
    const p = Object.fromEntries(names.map((name, i) => [name, values[i + 1]])), step = compiled(block);
    return { run: () => done(step(values[0].ref, tree.ref(p))), whole, free, end };
  }
  const f = kind === 'sum' ? (x => x.sum(...(task === 'sum-16M' ? [] : [+task.at(-1)]))) : simple[kind];
  const step = compiled(f);
  return { run: () => done(step(...values.map(x => x.ref))), whole, free, end };
}

const first = async () => { const a = np.array([[1, 1], [1, 1]]); return (await np.matmul(a.ref, a).data())[0]; };
await serve({ version: version(require, '@jax-js/jax', FOLDER), adapter: process.argv.at(-1) === 'first' ? '' : await adapterName() }, prepare, first);
