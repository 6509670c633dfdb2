import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createGunzip, gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { ClientGoneError, RequestError } from '../../../src/api/errors.ts';
import { lingerBeforeClose, RequestBodies } from '../../../src/api/request-body.ts';
import { systemClock } from '../../../storage/index.ts';
import { until } from '../../support/until.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A server that gives each request, headers read and body not, to `take`. */
async function requests(take: (request: IncomingMessage) => void): Promise<number> {
  const server = createServer((request) => take(request));
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function post(port: number, length: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
  open.push(() => socket.destroy());
  return socket;
}

/** The bodies, read one after the other as their requests come. */
async function reading(bodies: RequestBodies, limitBytes: number): Promise<{ port: number; read: Promise<Buffer>[] }> {
  const read: Promise<Buffer>[] = [];
  const port = await requests((request) => {
    const body = bodies.read(request, limitBytes);
    body.catch(() => {});
    read.push(body);
  });
  return { port, read };
}

test('a body is read whole, and its bytes are in flight until it is released', async () => {
  const bodies = new RequestBodies(1000);
  const { port, read } = await reading(bodies, 100);
  const socket = post(port, 6);
  socket.write('abc');
  await until('the first half', () => bodies.inFlightBytes === 3);
  socket.write('def');
  const body = await read[0];
  expect(body?.toString()).toBe('abcdef');
  expect(bodies.inFlightBytes).toBe(6);
  bodies.release(body as Buffer);
  expect(bodies.inFlightBytes).toBe(0);
});

test('a body that is freed is empty and not in flight, and the memory of others stays', async () => {
  const bodies = new RequestBodies(1_000_000);
  const { port, read } = await reading(bodies, 1_000_000);
  const socket = post(port, 300_000);
  socket.write('a'.repeat(100_000));
  await until('the first piece', () => bodies.inFlightBytes === 100_000);
  socket.write('b'.repeat(200_000));
  const body = (await read[0]) as Buffer;
  expect(body.equals(Buffer.from('a'.repeat(100_000) + 'b'.repeat(200_000)))).toBe(true);
  bodies.free(body);
  expect([body.length, bodies.inFlightBytes]).toEqual([0, 0]);
  // A small one lies in a pool.
  const neighbours = Buffer.from('abcdef');
  const part = neighbours.subarray(0, 3);
  bodies.hold(part);
  bodies.free(part);
  expect([neighbours.toString(), bodies.inFlightBytes]).toEqual(['abcdef', 0]);
});

test('a body over its limit is refused and holds nothing', async () => {
  const bodies = new RequestBodies(1000);
  const { port, read } = await reading(bodies, 5);
  post(port, 6).write('abcdef');
  await until('the request', () => read.length === 1);
  await expect(read[0]).rejects.toMatchObject({ status: 413, message: 'request body exceeds 5 bytes' });
  expect(bodies.inFlightBytes).toBe(0);
});

test('beyond the bytes that may be in flight a body is refused, those before it are not affected', async () => {
  const bodies = new RequestBodies(10);
  const { port, read } = await reading(bodies, 100);
  const first = post(port, 8);
  first.write('1234567');
  await until('the first', () => bodies.inFlightBytes === 7);
  post(port, 4).write('abcd');
  await until('the second', () => read.length === 2);
  await expect(read[1]).rejects.toMatchObject({ status: 503, retryAfterS: 1 });
  expect(bodies.inFlightBytes).toBe(7);
  first.write('8');
  expect((await read[0])?.toString()).toBe('12345678');
});

test('a body is refused by its declared length before a byte is read', async () => {
  const bodies = new RequestBodies(10);
  expect(() => bodies.admit('6', 5)).toThrow('request body exceeds 5 bytes');
  expect(() => bodies.admit('1099511627776', 5)).toThrow(RequestError);
  expect(() => bodies.admit('5', 5)).not.toThrow();
  expect(() => bodies.admit(undefined, 5)).not.toThrow();
  const { port } = await reading(bodies, 100);
  post(port, 9).write('12345678');
  await until('the bytes', () => bodies.inFlightBytes === 8);
  expect(() => bodies.admit('3', 5)).toThrow(/too many request bytes in flight \(limit 10\)/);
  expect(() => bodies.admit('2', 5)).not.toThrow();
});

test('a client that leaves within its body leaves nothing behind', async () => {
  const bodies = new RequestBodies(1000);
  const { port, read } = await reading(bodies, 100);
  const socket = post(port, 6);
  socket.write('abc');
  await until('the first half', () => bodies.inFlightBytes === 3);
  socket.destroy();
  await expect(read[0]).rejects.toBeInstanceOf(ClientGoneError);
  expect(bodies.inFlightBytes).toBe(0);
});

test('a body is unpacked within its limit, and what it becomes is in flight', async () => {
  const bodies = new RequestBodies(1000);
  const unpacked = await bodies.unpack(gzipSync('x'.repeat(100)), createGunzip, 100);
  expect([unpacked.toString(), bodies.inFlightBytes]).toEqual(['x'.repeat(100), 100]);
  bodies.release(unpacked);
  await expect(bodies.unpack(gzipSync('x'.repeat(101)), createGunzip, 100)).rejects.toMatchObject({ status: 413 });
  await expect(bodies.unpack(gzipSync('x'.repeat(1001)), createGunzip, 2000)).rejects.toMatchObject({ status: 503 });
  await expect(bodies.unpack(Buffer.from('x'), createGunzip, 100)).rejects.toMatchObject({
    status: 400,
    message: 'the body cannot be decompressed: unexpected end of file',
  });
  expect(bodies.inFlightBytes).toBe(0);
});

test('a small body that becomes a large one is stopped at the limit, not at its end', async () => {
  const bodies = new RequestBodies(64 * 1024 * 1024);
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const decoder = createGunzip();
  let decoded = 0;
  decoder.on('data', (chunk: Buffer) => {
    decoded += chunk.length;
  });
  await expect(bodies.unpack(bomb, () => decoder, 100_000)).rejects.toMatchObject({ status: 413 });
  expect(decoded).toBeLessThan(1024 * 1024);
  expect(bodies.inFlightBytes).toBe(0);
});

test('few bodies are unpacked at the same time, and one that fails makes room like any other', async () => {
  const bodies = new RequestBodies(1000);
  let [running, most] = [0, 0];
  const counted = () => {
    const decoder = createGunzip();
    most = Math.max(most, ++running);
    for (const event of ['end', 'error']) decoder.once(event, () => running--);
    return decoder;
  };
  const packed = Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? Buffer.from('no gzip') : gzipSync(String(i))));
  const unpacked = await Promise.allSettled(packed.map((body) => bodies.unpack(body, counted, 100)));
  expect(unpacked.map((result) => (result.status === 'fulfilled' ? result.value.toString() : 'no'))).toEqual(
    packed.map((_, i) => (i % 3 === 0 ? 'no' : String(i))),
  );
  expect([running, most]).toEqual([0, 2]);
});

test('bytes are held beside bodies, and no more than there is room for', () => {
  const bodies = new RequestBodies(10);
  const seven = new Uint8Array(7);
  bodies.hold(seven);
  expect(() => bodies.hold(new Uint8Array(4))).toThrow(/too many request bytes in flight \(limit 10\)/);
  expect(bodies.inFlightBytes).toBe(7);
  bodies.release(seven);
  expect(bodies.inFlightBytes).toBe(0);
});

/** Sends everything before it reads anything, as blocking clients do. Gives what it could read then. */
async function sendThenRead(port: number, head: string, body: Buffer): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  open.push(() => socket.destroy());
  socket.pause();
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes.toString();
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()).once('end', () => resolve()));
  const failed = new Promise<void>((resolve) => socket.once('error', () => resolve()));
  socket.write(head);
  await Promise.race([new Promise((resolve) => socket.write(body, resolve)), failed]);
  socket.resume();
  await closed;
  return answer;
}

test('a client in the middle of a refused body still gets the answer, and then the end of the connection', async () => {
  const server = createServer((request, response) => {
    lingerBeforeClose(request.socket, systemClock);
    response.writeHead(413, { connection: 'close' }).end('too large');
  });
  open.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const body = Buffer.alloc(40 * 1024 * 1024);
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`;
  expect(await sendThenRead(port, head, body)).toContain('too large');
});
