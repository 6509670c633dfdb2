import { hashSync } from 'bcryptjs';
import { expect, test } from 'vitest';
import { PasswordChecker } from '../../../src/web/password-checker.ts';
import { type Executor, type Port, workerExecutor } from '../../../storage/index.ts';

const HASH = hashSync('right', 4);

test('it says which passwords match, whatever the order, on a thread of its own', async () => {
  const checker = new PasswordChecker(workerExecutor);
  const asked = ['right', 'wrong', '', 'right'].map((password) => checker.matches(HASH, password));
  expect(checker.waiting).toBe(4);
  expect(await Promise.all(asked)).toEqual([true, false, false, true]);
  expect(checker.waiting).toBe(0);
  checker.close();
});

test('what waits when it is closed gets an error', async () => {
  const checker = new PasswordChecker(workerExecutor);
  const asked = checker.matches(hashSync('x', 4), 'x');
  checker.close();
  await expect(asked).rejects.toThrow('the server is closing');
});

test('a thread that ends fails what it was asked, and the next question starts another', async () => {
  const ends: ((error?: Error) => void)[] = [];
  const dying: Executor = {
    ...workerExecutor,
    start(entry, init): Port {
      const port = workerExecutor.start(entry, init);
      return { ...port, onClose: (listener) => void ends.push(listener) };
    },
  };
  const checker = new PasswordChecker(dying);
  const asked = checker.matches(HASH, 'right');
  ends[0]?.(new Error('out of memory'));
  await expect(asked).rejects.toThrow('out of memory');
  expect(await checker.matches(HASH, 'right')).toBe(true);
  expect(ends.length).toBe(2);
  checker.close();
});
