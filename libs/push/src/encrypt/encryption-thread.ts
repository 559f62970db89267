/** What runs in an encryption thread: each message is a packed batch, each answer its packed bodies, in the same order. */
import { parentPort } from 'node:worker_threads';
import { encryptPacked } from './encryption-batch.js';

parentPort?.on('message', (request: ArrayBuffer) => {
  const answer = encryptPacked(request);
  parentPort?.postMessage(answer, [answer]);
});
