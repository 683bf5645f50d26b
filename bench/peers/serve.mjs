// The bench's side of a contender's process, in JavaScript: the orders and answers of serve.py.
import fs from 'node:fs';
import os from 'node:os';
import readline from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export const UNARIES = ['sin', 'cos', 'tanh', 'sigmoid', 'exp', 'neg', 'abs', 'sqrt', 'square', 'relu'];
export class NotOffered extends Error {}

// Load the npm package `webgpu` (Dawn) from `folder` and make it navigator.gpu; `load` and `require` find packages there.
export async function setUp(folder) {
  for (const name of ['log', 'warn', 'info']) console[name] = console.error;
  const require = createRequire(folder + '/package.json');
  const load = name => import(pathToFileURL(require.resolve(name)).href);
  globalThis.navigator ??= { userAgent: 'Node.js', hardwareConcurrency: os.availableParallelism() };
  const { create, globals } = await load('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create([]);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  return { require, load };
}

export async function adapterName() {
  const { info } = await navigator.gpu.requestAdapter();
  return info.device && !/^0x/.test(info.device) ? info.device : info.description;
}

export const version = (require, name, folder) =>
  JSON.parse(fs.readFileSync(`${folder}/node_modules/${name}/package.json`)).version;

function array({ file, dtype, shape }) {
  const bytes = fs.readFileSync(file);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const data = dtype === 'float32' ? new Float32Array(buffer) : Int32Array.from(new BigInt64Array(buffer), Number);
  return { data, shape, dtype: dtype === 'float32' ? 'float32' : 'int32' };
}

// `prepare(task, arrays, mode)` returns `run`, which does the task once and comes back when it is done, and `whole`, which
// makes a typed array of what `run` gave; `free` gives the memory of that back.
export async function serve(facts, prepare, first) {
  const answer = values => fs.writeSync(1, JSON.stringify(values) + '\n');
  if (process.argv.at(-1) === 'first') { answer({ value: await first() }); process.exit(0); }
  answer(facts);
  let task = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    try {
      if (order.task) {
        task?.end?.();
        task = await prepare(order.task, order.inputs.map(array), order.mode);
        const start = performance.now();
        const result = await task.run();
        answer({ cold_ms: performance.now() - start });
        task.free?.(result);
      } else if (order.check) {
        for (let i = 1; i < order.check; i++) { const result = await task.run(); task.free?.(result); }
        const result = await task.run();
        const values = await task.whole(result);
        let sum = 0;
        for (const value of values) sum += Math.abs(value);
        answer({ mean: sum / values.length, last: values.at(-1) });
        task.free?.(result);
      } else if (order.run !== undefined) {
        const ms = [], cpu_ms = [];
        for (let total = 0; !ms.length || total < order.run * 1e3; total += ms.at(-1)) {
          const spent = process.cpuUsage(), start = performance.now();
          const result = await task.run();
          ms.push(performance.now() - start);
          const { user, system } = process.cpuUsage(spent);
          cpu_ms.push((user + system) / 1e3);
          task.free?.(result);
        }
        answer({ ms, cpu_ms });
      }
    } catch (error) {
      answer(error instanceof NotOffered ? { not_offered: error.message } : { error: String(error?.message ?? error).slice(0, 500) });
    }
  }
  process.exit(0);
}
