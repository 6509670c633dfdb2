/** The activity of the password thread: bcrypt takes tens of milliseconds, and nothing else may wait for it. */
import { compareSync } from 'bcryptjs';
import type { Port } from '../../storage/index.ts';

/** What the thread is asked. */
export interface PasswordQuestion {
  readonly id: number;
  readonly hash: string;
  readonly password: string;
}

/** What it answers. */
export interface PasswordAnswer {
  readonly id: number;
  readonly matches: boolean;
}

/** Called by the executor on the new thread. */
export function run(port: Port): void {
  port.onMessage((message) => {
    const { id, hash, password } = message as PasswordQuestion;
    const answer: PasswordAnswer = { id, matches: compareSync(password, hash) };
    port.post(answer);
  });
}
