import { open } from 'node:fs/promises';
import type { ReadFile } from '../web/tls-options.ts';

const READABLE_BY_OTHERS = 0o004;
/** Certificates, keys and rules are small; a wrong path may be a disk. */
const CONFIG_MAX_BYTES = 16 * 1024 * 1024;

/** A configuration file, or one that it names. Rejects with an Error that names it. */
export async function readConfigFile(path: string): Promise<ReadFile> {
  await using file = await open(path, 'r');
  const { mode, size } = await file.stat();
  if (size > CONFIG_MAX_BYTES) throw new Error(`${path} is larger than ${CONFIG_MAX_BYTES} bytes`);
  return { bytes: await file.readFile(), isWorldReadable: (mode & READABLE_BY_OTHERS) !== 0 };
}
