// TensorFlow.js on WebGPU.
import { adapterName, NotOffered, serve, setUp, UNARIES, version } from './serve.mjs';

const FOLDER = process.env.PEER_FOLDER;
const { require } = await setUp(FOLDER);
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-backend-webgpu');
await tf.setBackend('webgpu');
await tf.ready();
if (tf.getBackend() !== 'webgpu') throw new Error('tfjs runs on ' + tf.getBackend());

async function done(y) {
  if (y.rank === 0) { await y.data(); return y; }
  const last = tf.tidy(() => tf.slice(y, y.shape.map(n => n - 1), y.shape.map(() => 1)));
  await last.data();
  last.dispose();
  return y;
}
const whole = y => y.data();
const free = y => y?.dispose?.();

function norm(x, weight, bias) {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
}
const gelu = x => tf.mul(tf.mul(x, 0.5), tf.add(1, tf.tanh(tf.mul(0.7978845608, tf.add(x, tf.mul(0.044715, tf.mul(x, tf.square(x))))))));
const attend = (q, k, v) => tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape.at(-1)))), v);

function block(x, wqkv, bqkv, wo, bo, w1, b1, w2, b2, g1, c1, g2, c2) {
  const [batch, length, width] = x.shape, heads = 8, rows = [batch * length, width];
  x = tf.reshape(x, rows);
  const qkv = tf.transpose(tf.reshape(tf.add(tf.matMul(norm(x, g1, c1), wqkv), bqkv), [batch, length, 3, heads, width / heads]), [2, 0, 3, 1, 4]);
  const [q, k, v] = tf.split(qkv, 3, 0).map(part => tf.reshape(part, [batch, heads, length, width / heads]));
  const mixed = tf.reshape(tf.transpose(attend(q, k, v), [0, 2, 1, 3]), rows);
  const y = tf.add(x, tf.add(tf.matMul(mixed, wo), bo));
  return tf.add(y, tf.add(tf.matMul(gelu(tf.add(tf.matMul(norm(y, g2, c2), w1), b1)), w2), b2));
}

const simple = {
  matmul: (a, b) => tf.matMul(a, b),
  chain: (a, b, c) => tf.mul(tf.relu(tf.add(tf.mul(a, b), c)), tf.sigmoid(a)),
  softmax: a => tf.softmax(a),
  layernorm: norm,
  block,
  attention: attend,
  cross: (x, labels) => tf.grad(x => tf.losses.softmaxCrossEntropy(tf.oneHot(labels, 1000), x))(x),
  conv: (x, weight) => tf.transpose(tf.conv2d(tf.transpose(x, [0, 2, 3, 1]), tf.transpose(weight, [2, 3, 1, 0]), 1, 'same'), [0, 3, 1, 2]),
  cumsum: a => tf.cumsum(a),
  sort: a => tf.reverse(tf.topk(a, a.size).values),
  gather: (a, index) => tf.gather(a, index),
  scatter: (a, index) => tf.scatterND(tf.expandDims(index, 1), a, a.shape),
  transpose: a => tf.transpose(a),
};

async function prepare(task, arrays, mode) {
  const kind = task.split('-')[0];
  if (kind === 'adamw') throw new NotOffered('no AdamW');
  const values = arrays.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype)), end = () => values.forEach(free);
  if (kind === 'ops') {
    const step = task === 'ops-1000' ? x => tf.add(x, values[1]) : (x, i) => tf[UNARIES[i % 10]](x);
    const work = () => {
      let x = values[0];
      for (let i = 0; i < 1000; i++) { const next = step(x, i); if (i) x.dispose(); x = next; }
      return x;
    };
    return { run: () => done(tf.tidy(work)), whole, free, end };
  }
  if (kind === 'mlp') {
    const [x, labels, ...flat] = values, y = tf.oneHot(labels, 10), weights = flat.map(w => tf.variable(w));
    const optimizer = tf.train.sgd(0.01);
    const loss = () => {
      let h = x;
      for (let i = 0; i < 3; i++) { h = tf.add(tf.matMul(h, weights[2 * i]), weights[2 * i + 1]); if (i < 2) h = tf.relu(h); }
      return tf.losses.softmaxCrossEntropy(y, h);
    };
    const run = async () => { const value = optimizer.minimize(loss, true, weights); await done(weights[0]); await value.data(); return value; };
    return { run, whole, free, end: () => { end(); weights.forEach(free); } };
  }
  const f = kind === 'sum' ? (x => tf.sum(x, task === 'sum-16M' ? undefined : +task.at(-1))) : simple[kind];
  return { run: () => done(tf.tidy(() => f(...values))), whole, free, end };
}

const first = async () => { const a = tf.tensor2d([[1, 1], [1, 1]]); return (await tf.matMul(a, a).data())[0]; };
await serve({ version: version(require, '@tensorflow/tfjs', FOLDER), adapter: process.argv.at(-1) === 'first' ? '' : await adapterName() }, prepare, first);
