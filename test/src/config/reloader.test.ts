import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/config-node.ts';
import { type Reloadable, Reloader } from '../../../src/config/reloader.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { until } from '../../support/until.ts';

/** A file whose content is set by the test; '!' is invalid. */
class TextFile implements Reloadable {
  text = 'a';
  taken = 'a';
  attempts = 0;
  #seen = 'a';

  async hasSettledChange(): Promise<boolean> {
    return this.text !== this.#seen;
  }

  async reload(): Promise<readonly string[]> {
    this.attempts++;
    this.#seen = this.text;
    if (this.text === '!') throw new ConfigError('f.yml:1:1: wrong');
    this.taken = this.text;
    return this.text === '?' ? ['doubtful'] : [];
  }
}

function reloading(...files: TextFile[]): {
  reloader: Reloader;
  metric: (name: string) => Promise<number>;
  lines: string[];
  look: () => void;
  stopped: () => boolean;
} {
  const lines: string[] = [];
  const metrics = new Metrics();
  let nowMs = 5000;
  let look = (): void => {};
  let isStopped = false;
  const clock = {
    nowMs: () => nowMs++,
    every(_intervalMs: number, callback: () => void) {
      look = callback;
      return () => {
        isStopped = true;
      };
    },
  };
  const log = createLog({ level: 'info', format: 'logfmt', clock, write: (line) => void lines.push(line) });
  const reloader = new Reloader({ files, log, metrics, clock });
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^varve_config_last_reload_${name} (.*)$`, 'm').exec(await metrics.text())?.[1]);
  return { reloader, metric, lines, look: () => look(), stopped: () => isStopped };
}

test('the start counts as a success', async () => {
  const { metric } = reloading(new TextFile());
  expect(await metric('successful')).toBe(1);
  expect(await metric('success_timestamp_seconds')).toBe(5);
});

test('an invalid file keeps the old one, says so, and does not keep others back', async () => {
  const [wrong, right] = [new TextFile(), new TextFile()];
  const { reloader, metric, lines } = reloading(wrong, right);
  wrong.text = '!';
  right.text = '?';
  await expect(reloader.reload('SIGHUP')).rejects.toThrow('f.yml:1:1: wrong');
  expect([wrong.taken, right.taken]).toEqual(['a', '?']);
  expect(await metric('successful')).toBe(0);
  expect(await metric('success_timestamp_seconds')).toBe(5);
  expect(lines.join('')).toMatch(
    /level=error msg="the configuration is not taken.*reason=SIGHUP error="f\.yml:1:1: wrong"/,
  );
  expect(lines.join('')).toContain('level=warn msg=doubtful');

  wrong.text = 'b';
  await reloader.reload('SIGHUP');
  expect(wrong.taken).toBe('b');
  expect(await metric('successful')).toBe(1);
  expect(await metric('success_timestamp_seconds')).toBeGreaterThan(5);
});

test('a change is taken by itself, an invalid one is tried once', async () => {
  const file = new TextFile();
  const { reloader, look, stopped } = reloading(file);
  const stop = reloader.watch();
  look();
  file.text = 'b';
  await until('the change', () => {
    look();
    return file.taken === 'b';
  });
  file.text = '!';
  await until('the attempt', () => {
    look();
    return file.attempts === 2;
  });
  for (let i = 0; i < 5; i++) {
    look();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(file.attempts).toBe(2);
  stop();
  expect(stopped()).toBe(true);
});
