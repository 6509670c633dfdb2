import { expect, test } from 'vitest';
import { ConfigFile } from '../../../src/config/config-file.ts';
import { parseConfig } from '../../../src/config/config-node.ts';

/** A file with a number in it, whose text the test sets; undefined: there is no file. */
async function open(text: string | undefined): Promise<{ file: ConfigFile<number>; write: (text?: string) => void }> {
  let now = text;
  const file = await ConfigFile.open({
    path: 'n.yml',
    flag: 'n.file',
    parse: (given, path) => parseConfig(given, path).fields('n').n?.integer() ?? 0,
    warningsOf: (n) => (n > 9 ? ['large'] : []),
    readFile: async (path) => {
      if (now === undefined) throw new Error(`ENOENT: ${path}`);
      return { bytes: Buffer.from(now) };
    },
  });
  return {
    file,
    write: (next) => {
      now = next;
    },
  };
}

test('a file that cannot be read is named with its flag', async () => {
  await expect(open(undefined)).rejects.toThrow('cannot read n.yml (--n.file): ENOENT: n.yml');
});

test('a valid change is taken and told, an invalid one leaves what was', async () => {
  const { file, write } = await open('n: 1');
  const told: number[] = [];
  file.onChange((n) => void told.push(n));
  write('n: 12');
  expect(await file.reload()).toEqual(['large']);
  write('n: [');
  await expect(file.reload()).rejects.toThrow('n.yml:');
  write('m: 3');
  await expect(file.reload()).rejects.toThrow('n.yml:1:1: unknown key "m": the nearest is n');
  expect([file.current, told, file.warnings]).toEqual([12, [12], ['large']]);
});

test('a change is one when it is the same at two looks, and only until it was tried', async () => {
  const { file, write } = await open('n: 1');
  const looks = async (): Promise<boolean[]> => [await file.hasSettledChange(), await file.hasSettledChange()];
  expect(await looks()).toEqual([false, false]);
  write('n: 2');
  expect(await looks()).toEqual([false, true]);
  await file.reload();
  expect(await looks()).toEqual([false, false]);
  for (const bad of ['n: x', undefined]) {
    write(bad);
    expect(await looks()).toEqual([false, true]);
    await expect(file.reload()).rejects.toThrow('n.yml');
    expect(await looks()).toEqual([false, false]);
  }
  write('n: 2');
  expect(await looks()).toEqual([false, true]);
});
