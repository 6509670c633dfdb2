/** `varve restore`, and what `varve serve --restore` does first: an empty data directory gets the log from the bucket. */
import { hostname } from 'node:os';
import {
  type BucketLocation,
  isRestorable,
  nodeFileSystem,
  openBucketAt,
  RestoreChoiceError,
  type RestoreReport,
  restore as restoreLog,
  type ShippedInstance,
  systemClock,
  systemRandom,
  workerExecutor,
} from '../../storage/index.ts';
import { FlagError, SERVE_FLAGS } from '../config/flags.ts';
import type { RestoreSettings, ServeSettings } from '../config/settings.ts';
import type { Log } from '../telemetry/log.ts';
import { checkBucket, configuredBucket } from './bucket.ts';
import { EXIT } from './exit-codes.ts';
import { openStoragePath } from './storage-path.ts';

const MIB = 1024 * 1024;
const PROGRESS_EVERY_MS = 2000;

interface RestoreOrder extends Partial<Pick<RestoreSettings, 'instance' | 'epoch' | 'isDryRun'>> {
  readonly directory: string;
  readonly location: BucketLocation;
  readonly onProgress: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
}

/** Restores, and ends with 0; 2 if it is not clear what to restore, with what there is on standard output. */
export async function restore(settings: RestoreSettings): Promise<number> {
  const bucket = await configuredBucket(settings);
  if (bucket === undefined) {
    const { objstoreConfigFile } = SERVE_FLAGS;
    throw new FlagError(`varve restore needs the bucket: give --${objstoreConfigFile.name}`);
  }
  const warning = await checkBucket(bucket, { executor: workerExecutor, clock: systemClock });
  if (warning !== undefined) throw new Error(warning);
  const directory = settings.isDryRun ? settings.storagePath : openStoragePath(settings.storagePath);
  try {
    const report = await restoreFrom({
      ...settings,
      directory,
      location: bucket.location,
      onProgress: progressLines(),
    });
    process.stdout.write(reportText(report, settings.isDryRun, directory));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof RestoreChoiceError)) throw error;
    process.stderr.write(`varve: ${error.message}\n${instancesText(error.instances)}`);
    return EXIT.usage;
  }
}

interface RestoreSources {
  readonly directory: string;
  readonly location: BucketLocation | undefined;
  readonly log: Log;
}

/** With --restore: fills an empty data directory from the bucket, if that has a log. One with data is started as it is. */
export async function restoreFirst(
  { restore: isWanted, restoreInstance: instance }: Pick<ServeSettings, 'restore' | 'restoreInstance'>,
  { directory, location, log }: RestoreSources,
  onProgress: RestoreOrder['onProgress'],
): Promise<void> {
  if (!isWanted || location === undefined || !isRestorable(nodeFileSystem, directory)) return;
  try {
    const report = await restoreFrom({ directory, location, instance, onProgress });
    const { from, epoch, bytes, records, damages } = report;
    log.info('restored from the bucket', { instance: report.instance, from, epoch, bytes, records });
    for (const damage of damages) log.warn('a restored log is not whole', { damage });
  } catch (error) {
    const isEmpty = error instanceof RestoreChoiceError && error.isEmpty;
    if (!isEmpty || instance !== undefined) throw error;
    log.warn('nothing to restore: no log is in the bucket, and the data directory begins empty');
  }
}

/** Rejects as the engine's `restore` does. */
async function restoreFrom(order: RestoreOrder): Promise<RestoreReport> {
  const { directory, location, instance, epoch, isDryRun = false, onProgress } = order;
  const world = { fileSystem: nodeFileSystem, clock: systemClock, random: systemRandom };
  const bucket = await openBucketAt(location, world);
  try {
    return await restoreLog({
      ...world,
      directory,
      bucket,
      isDryRun,
      host: hostname(),
      onProgress,
      ...(instance === undefined ? {} : { instance }),
      ...(epoch === undefined ? {} : { epoch }),
    });
  } finally {
    bucket.close();
  }
}

/** What there is, a line each. */
export function instancesText(instances: readonly ShippedInstance[]): string {
  return instances
    .flatMap(({ instance, epochs }) =>
      epochs.map(
        ({ epoch, bytes, lastMs }) =>
          `  instance ${instance}, epoch ${epoch}: ${bytes} bytes, last ${timeText(lastMs)}\n`,
      ),
    )
    .join('');
}

function reportText(report: RestoreReport, isDryRun: boolean, directory: string): string {
  const { instance, from, epoch, bytes, records, lastMs, damages } = report;
  const what = `epoch ${from} of instance ${instance}, ${bytes} bytes, last shipped ${timeText(lastMs)}`;
  if (isDryRun) return `would restore ${what}, into ${directory} as epoch ${epoch}\n`;
  const lines = [`restored ${what}: ${records} records, in ${directory} as epoch ${epoch}`];
  if (damages.length > 0)
    lines.push('not everything was there; the rest is restored:', ...damages.map((one) => `  ${one}`));
  return `${lines.join('\n')}\n`;
}

function timeText(ms: number): string {
  return ms === 0 ? 'at an unknown time' : new Date(ms).toISOString();
}

function progressLines(): RestoreOrder['onProgress'] {
  let toldMs = systemClock.monotonicMs();
  return ({ bytes, totalBytes }) => {
    const now = systemClock.monotonicMs();
    if (now - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = now;
    process.stderr.write(`${Math.round(bytes / MIB)} of ${Math.round(totalBytes / MIB)} MiB\n`);
  };
}
