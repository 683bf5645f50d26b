// webgpu-torch: it has no gradient of a product, no product of batches and no softmax (here exp / sum of exp).
import { adapterName, NotOffered, serve, setUp, UNARIES, version } from './serve.mjs';

const FOLDER = process.env.PEER_FOLDER;
const { require } = await setUp(FOLDER);
const torch = require('webgpu-torch/index.js');
if (!await torch.initWebGPUAsync()) throw new Error('no WebGPU');
let failure = null;

// Its own way in takes nested arrays only: write into the memory behind zeros instead.
function upload({ data, shape }) {
  const t = torch.zeros(shape, 'float32', 'webgpu');
  t.storage.getTypedArray('float32').set(data);
  t.storage.unmap();
  return t;
}

// Its own way out copies the whole tensor.
async function read(y, count) {
  const device = y.storage.gpuDevice, size = y.shape.reduce((a, b) => a * b, 1);
  device.onuncapturederror ??= event => { failure = event.error.message.split('\n')[0]; };
  count ??= size;
  const target = device.createBuffer({ size: 4 * count, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(y.storage.gpuBuffer, 4 * (size - count), target, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(target.getMappedRange().slice(0));
  target.destroy();
  if (failure) { const message = failure; failure = null; throw new Error(message); }
  return values;
}
const free = (...all) => all.forEach(t => t.storage.destroy());

const simple = {
  matmul: (keep, a, b) => a.mm(b),
  chain: (keep, a, b, c) => keep(keep(keep(a.mul(b)).add(c)).relu()).mul(keep(a.sigmoid())),
  sum: (keep, a, axis) => axis === undefined ? a.sum() : a.sum(axis),
  softmax: (keep, a) => { const e = keep(a.exp()); return e.div(keep(e.sum(1, true))); },
};

async function prepare(task, arrays, mode) {
  const kind = task.split('-')[0];
  if (!simple[kind] && kind !== 'ops') throw new NotOffered('no such op');
  const values = arrays.map(upload), extra = kind === 'sum' && task !== 'sum-16M' ? [+task.at(-1)] : [];
  const work = kind === 'ops'
    ? keep => {
      let x = values[0];
      for (let i = 0; i < 1000; i++) { const next = task === 'ops-1000' ? x.add(values[1]) : x[UNARIES[i % 10]](); if (i) keep(x); x = next; }
      return x;
    }
    : keep => simple[kind](keep, ...values, ...extra);
  const run = async () => {
    const kept = [], y = work(t => { kept.push(t); return t; });
    await read(y, 1);
    free(...kept);
    return y;
  };
  return { run, whole: y => read(y), free, end: () => free(...values) };
}

const first = async () => { const a = torch.tensor({ data: [[1, 1], [1, 1]], device: 'webgpu' }); return (await read(a.mm(a), 1))[0]; };
await serve({ version: version(require, 'webgpu-torch', FOLDER), adapter: process.argv.at(-1) === 'first' ? '' : await adapterName() }, prepare, first);
