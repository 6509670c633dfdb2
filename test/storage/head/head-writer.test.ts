import { uncompressSync } from 'snappy';
import { beforeEach, describe, expect, test } from 'vitest';
import { defaultTenantLimits, type TenantLimits } from '../../../storage/head/tenant-limits.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { BareHead } from '../../support/bare-head.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const NOW_MS = 1_700_000_000_000;

let machine: SimMachine;
let head: BareHead;

beforeEach(() => {
  const disk = new SimFileSystem();
  disk.makeDirectory('/data');
  machine = new SimMachine(disk, NOW_MS, seededChance(1));
  head = new BareHead(machine);
});

function write(name: string, timestampMs: number, value = 1): ReturnType<BareHead['writer']['write']> {
  return head.writer.write('a', writeRequest([{ labels: [['__name__', name]], samples: [[timestampMs, value]] }]));
}

/** New series whose definitions take a kilobyte each. */
function wideRequest(name: string, count: number): Buffer<ArrayBuffer> {
  const text = 'x'.repeat(1000);
  return writeRequest(
    Array.from({ length: count }, (_, i) => ({
      labels: [
        ['__name__', name],
        ['i', `${i} ${text}`],
      ] as const,
      samples: [[NOW_MS, i]] as const,
    })),
  );
}

test('every answer waits until the log is durable, also for a request that put nothing into it', async () => {
  const durableAtAnswer: number[] = [];
  const writes = [write('m', NOW_MS), write('m', NOW_MS), write('m', NOW_MS, 2), write('m', NOW_MS + 10 ** 9)];
  const end = head.wal.position;
  const answers = await Promise.all(
    writes.map(async (answer) => {
      const outcome = await answer;
      durableAtAnswer.push(head.wal.durable);
      return outcome;
    }),
  );
  expect(durableAtAnswer).toEqual([end, end, end, end]);
  expect(answers).toMatchObject([{ stored: 1 }, { duplicates: 1 }, { conflicts: 1 }, { rejected: 1 }]);
});

test('when the log cannot be written, nobody is told that a sample is there', async () => {
  machine.fileSystem.breakAt({ at: 1, code: 'EIO', sticky: true });
  const writes = [write('m', NOW_MS), write('m', NOW_MS), write('m', NOW_MS + 10 ** 9)];
  for (const answer of writes) await expect(answer).rejects.toMatchObject({ kind: 'unavailable' });
  const { rowCount } = head.kernel;
  await expect(write('other', NOW_MS)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(head.kernel.rowCount).toBe(rowCount);
});

test('a request larger than the ring goes in parts, and the others wait for its end', async () => {
  const order: string[] = [];
  const track = async (name: string, count: number): Promise<number> => {
    const { stored } = await head.writer.write('a', wideRequest(name, count));
    order.push(name);
    return stored;
  };
  const first = track('first', 20_000);
  const second = track('second', 3000);
  const third = write('third', NOW_MS).then(() => void order.push('third'));
  expect(head.kernel.rowCount).toBeLessThan(20_000);
  expect(await Promise.all([first, second])).toEqual([20_000, 3000]);
  await third;
  expect(order).toEqual(['first', 'second', 'third']);
  expect(head.writer.totals).toMatchObject({ stored: 23_001, newSeries: 23_001 });
});

test('a request in parts that the log cannot take is refused, and sent again it is whole', async () => {
  machine.fileSystem.breakAt({ at: 1, code: 'ENOSPC', calls: ['write'], sticky: true });
  await expect(head.writer.write('a', wideRequest('m', 20_000))).rejects.toMatchObject({ kind: 'unavailable' });
  machine.fileSystem.repair();
  await machine.until('the log to be written', () => head.wal.failure === undefined, { stepMs: 250 });
  const { stored, duplicates } = await head.writer.write('a', wideRequest('m', 20_000));
  expect(stored).toBeGreaterThan(0);
  expect(stored + duplicates).toBe(20_000);
});

test('closing lets the request at work end and refuses the next', async () => {
  const large = head.writer.write('a', wideRequest('m', 20_000));
  const waiting = expect(write('late', NOW_MS)).rejects.toMatchObject({ kind: 'unavailable' });
  await head.writer.close();
  expect(head.kernel.rowCount).toBe(20_000);
  await waiting;
  await expect(write('later', NOW_MS)).rejects.toMatchObject({ kind: 'unavailable' });
  await head.wal.close();
  expect((await large).stored).toBe(20_000);
});

test('a body that makes no sense stores nothing, says where, and costs nobody else', async () => {
  await expect(head.writer.write('a', Buffer.from([1, 2, 3]))).rejects.toMatchObject({ kind: 'invalid' });
  await expect(head.writer.write('a', Buffer.alloc(33 * 1024 * 1024))).rejects.toMatchObject({ kind: 'limit' });
  expect((await write('m', NOW_MS)).stored).toBe(1);
  expect(head.traps).toEqual([]);
});

test('after a trap nothing enters the kernel any more, and it is told once', async () => {
  const tenant = head.writer.tenant('a');
  // The windows of the tenant lie beyond the memory.
  await write('m', NOW_MS);
  const words = new Uint32Array(head.kernel.memory.memory.buffer);
  words[(tenant.handle + L.TENANT_WINDOW_SLOTS) / 4] = 0xffff_fff0;
  await expect(write('m', NOW_MS - 8_000_000)).rejects.toMatchObject({ kind: 'unavailable' });
  await expect(write('m', NOW_MS)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(head.traps).toEqual([expect.stringContaining('RuntimeError')]);
});

test('bytes that wait for the disk have an age', async () => {
  expect(head.wal.notDurableMs).toBe(0);
  machine.fileSystem.breakAt({ at: 1, code: 'EIO', sticky: true });
  await expect(write('m', NOW_MS)).rejects.toMatchObject({ kind: 'unavailable' });
  machine.clock.advance(100);
  expect(head.wal.notDurableMs).toBe(100);
  machine.fileSystem.repair();
  await machine.until('the log to be written', () => head.wal.failure === undefined, { stepMs: 250 });
  expect(head.wal.notDurableMs).toBe(0);
});

test('a body that is not compressed is stored like one that is', async () => {
  const body = writeRequest([{ labels: [['__name__', 'plain']], samples: [[NOW_MS, 3]] }]);
  const plain = uncompressSync(body) as Buffer;
  expect(await head.writer.write('a', plain, { compression: 'none' })).toMatchObject({ stored: 1, newSeries: 1 });
  expect(await head.writer.write('a', body)).toMatchObject({ duplicates: 1 });
  await expect(head.writer.write('a', plain)).rejects.toMatchObject({ kind: 'invalid' });
});

describe('limits of a tenant', () => {
  const limit = (limits: Partial<TenantLimits>): void =>
    head.writer.setLimits((key) => (key === 'a' ? { ...defaultTenantLimits, ...limits } : defaultTenantLimits));

  test('on series hold back new ones; those that are there are stored, however they are spelled', async () => {
    await write('one', NOW_MS);
    limit({ headSeries: 2 });
    await write('two', NOW_MS);
    const used = head.kernel.usedBytes;
    const refused = await write('three', NOW_MS);
    expect(refused).toMatchObject({ stored: 0, rejected: 1, newSeries: 0 });
    expect(refused.message).toContain('series limit 2 (active 2; head_series_limit in --receive.limits-config-file)');
    expect([...refused.rejectedBy]).toEqual([['series-limit', 1]]);
    expect(head.kernel.usedBytes).toBe(used);
    const known = writeRequest([
      {
        labels: [
          ['x', ''],
          ['__name__', 'one'],
        ],
        samples: [[NOW_MS + 1, 1]],
      },
    ]);
    expect(await head.writer.write('a', known)).toMatchObject({ stored: 1, newSeries: 0 });
    expect(
      await head.writer.write('b', writeRequest([{ labels: [['__name__', 'three']], samples: [[NOW_MS, 1]] }])),
    ).toMatchObject({ stored: 1 });
    limit({ headSeries: 3 });
    expect(await write('three', NOW_MS)).toMatchObject({ stored: 1, newSeries: 1 });
  });

  test('on labels are told with the actual value, the limit and its key', async () => {
    limit({ labels: 2, labelNameBytes: 10, labelValueBytes: 8, labelsBytes: 40 });
    const rows: [labels: [string, string][], text: string][] = [
      [
        [
          ['__name__', 'm'],
          ['a', '1'],
          ['b', '2'],
        ],
        '3 labels, limit 2 (labels_limit in --receive.limits-config-file)',
      ],
      [
        [
          ['__name__', 'm'],
          ['elevenbytes', '1'],
        ],
        'label name of 11 bytes, limit 10 (label_name_bytes_limit in ',
      ],
      [[['__name__', 'ninebytes']], 'label value of 9 bytes, limit 8 (label_value_bytes_limit in '],
      [
        [
          ['__name__', '12345678'],
          ['tenbytes10', '12345678'],
        ],
        'labels of 46 bytes in all, limit 40 (labels_bytes_limit in ',
      ],
    ];
    for (const [labels, text] of rows) {
      const outcome = await head.writer.write('a', writeRequest([{ labels, samples: [[NOW_MS, 1]] }]));
      expect(outcome).toMatchObject({ rejected: 1, message: expect.stringContaining(text) });
      expect(await head.writer.write('b', writeRequest([{ labels, samples: [[NOW_MS, 1]] }]))).toMatchObject({
        stored: 1,
      });
    }
  });

  test('on a request refuse it whole', async () => {
    limit({ requestSeries: 2, requestSamples: 3 });
    const request = (series: number, samples: number): Buffer<ArrayBuffer> =>
      writeRequest(
        Array.from({ length: series }, (_, i) => ({
          labels: [['__name__', `m${i}`]] as const,
          samples: Array.from({ length: samples }, (_, j) => [NOW_MS + j, 1] as const),
        })),
      );
    await expect(head.writer.write('a', request(3, 1))).rejects.toMatchObject({
      kind: 'limit',
      reason: 'request-series',
      samples: 3,
      message: 'a request of 3 series, limit 2 (series_limit in --receive.limits-config-file)',
    });
    await expect(head.writer.write('a', request(2, 2))).rejects.toMatchObject({
      kind: 'limit',
      reason: 'request-samples',
      samples: 4,
      message: 'a request of 4 samples, limit 3 (samples_limit in --receive.limits-config-file)',
    });
    expect(head.kernel.rowCount).toBe(0);
    expect(await head.writer.write('a', request(1, 3))).toMatchObject({ stored: 3 });
  });

  test('on samples a second let a burst through, then nothing of a request until there is credit again', async () => {
    limit({ samplesPerSecond: 100 });
    const many = (name: string): Promise<unknown> => head.writer.write('a', wideRequest(name, 1500));
    await many('first');
    await expect(write('m', NOW_MS)).rejects.toMatchObject({
      kind: 'rate',
      reason: 'rate',
      samples: 1,
      retryAfterS: 5,
    });
    expect(head.kernel.rowCount).toBe(1500);
    // A further part of a request that was let in is charged and stored.
    await head.writer.write('a', wideRequest('part', 100), { isAdmitted: true });
    machine.clock.advance(5900);
    await expect(write('m', NOW_MS)).rejects.toMatchObject({ retryAfterS: 1 });
    machine.clock.advance(200);
    expect(await write('m', NOW_MS)).toMatchObject({ stored: 1 });
    machine.clock.advance(3_600_000);
    await many('again');
    await expect(many('no more')).rejects.toMatchObject({ kind: 'rate' });
    limit({});
    await many('no more');
  });

  test('do not see what the server itself names: such series are stored and counted', async () => {
    head.kernel.reserveNames(['replica', 'tenant_id', 'x'.repeat(300)]);
    for (const name of ['replica', 'tenant_id', 'tenant_i', 'tenant_idx', '__name__'])
      expect(
        await head.writer.write(
          'a',
          writeRequest([
            {
              labels: [
                ['__name__', 'm'],
                [name === '__name__' ? 'y' : name, 'v'],
              ],
              samples: [[NOW_MS, 1]],
            },
          ]),
        ),
      ).toMatchObject({ stored: 1 });
    expect(head.writer.hiddenSeries).toBe(2);
  });
});
