/** The real programs that tests talk to, as found on PATH. `npm run peers` installs them. */
import { spawnSync } from 'node:child_process';

function answersVersion(program: string, question = '--version'): boolean {
  const { error, status } = spawnSync(program, [question], { stdio: 'ignore', timeout: 20_000 });
  return error === undefined && status === 0;
}

/**
 * What this machine has. A test that needs one says so: `test.skipIf(!peers.promtool)(…)`; with CI=true a skipped test
 * fails the run. `root` also means that loop devices can be mounted.
 */
export const peers: {
  readonly prometheus: boolean;
  readonly promtool: boolean;
  readonly nodeExporter: boolean;
  readonly victoriaMetrics: boolean;
  readonly openssl: boolean;
  readonly root: boolean;
} = {
  prometheus: answersVersion('prometheus'),
  promtool: answersVersion('promtool'),
  nodeExporter: answersVersion('prometheus-node-exporter'),
  victoriaMetrics: answersVersion('victoria-metrics'),
  openssl: answersVersion('openssl', 'version'),
  root: process.getuid?.() === 0,
};
