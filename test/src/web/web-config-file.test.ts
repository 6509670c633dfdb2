import { expect, test } from 'vitest';
import type { FileReader } from '../../../src/web/tls-options.ts';
import { WebConfigFile } from '../../../src/web/web-config-file.ts';

const USERS = 'basic_auth_users: {alice: $2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu}\n';

/** A web configuration whose text the test sets; undefined: there is no file. */
async function open(text: string): Promise<{ file: WebConfigFile; write: (text: string | undefined) => void }> {
  let now: string | undefined = text;
  const readFile: FileReader = async (path) => {
    if (now === undefined) throw new Error(`ENOENT: ${path}`);
    return { bytes: Buffer.from(now), isWorldReadable: false };
  };
  const file = await WebConfigFile.open({ path: '/etc/varve/web.yml', readFile, clock: { nowMs: () => 0 } });
  return {
    file,
    write: (next) => {
      now = next;
    },
  };
}

test('a file is taken when it is the same at two looks: one that is being written never is', async () => {
  const { file, write } = await open(USERS);
  const look = (): Promise<boolean> => file.hasSettledChange();
  expect([await look(), await look()]).toEqual([false, false]);
  write('');
  expect(await look()).toBe(false);
  write('basic_auth');
  expect(await look()).toBe(false);
  write(`${USERS}# edited\n`);
  expect([await look(), await look()]).toEqual([false, true]);
  await file.reload();
  expect([await look(), await look()]).toEqual([false, false]);
});

test('a file that goes away is a change that is refused once, and its return is one again', async () => {
  const { file, write } = await open(USERS);
  write(undefined);
  expect([await file.hasSettledChange(), await file.hasSettledChange()]).toEqual([false, true]);
  await expect(file.reload()).rejects.toThrow('cannot read /etc/varve/web.yml (--web.config.file): ENOENT');
  expect([await file.hasSettledChange(), await file.hasSettledChange()]).toEqual([false, false]);
  expect(file.current.users.size).toBe(1);
  write(USERS);
  expect([await file.hasSettledChange(), await file.hasSettledChange()]).toEqual([false, true]);
  await file.reload();
});

test('without a file everybody may come in, and there is nothing to follow', async () => {
  const readFile: FileReader = () => Promise.reject(new Error('nothing is to be read'));
  const file = await WebConfigFile.open({ path: undefined, readFile, clock: { nowMs: () => 0 } });
  expect(file.isAuthenticating).toBe(false);
  expect(await file.reload()).toEqual([]);
  expect(await file.hasSettledChange()).toBe(false);
});
