/**
 * What requests and bytes cost at the store. List prices of the big stores are built in, one region and the first tier of
 * each, in dollars: an estimate. A file of the user has the prices that are paid really:
 *
 *   currency: EUR
 *   write_requests_per_1000: 0.006     # put and list
 *   read_requests_per_1000: 0.0005     # get and head
 *   egress_per_gb: 0
 *   storage_per_gb_month: 0.02
 *
 * A delete costs nothing anywhere. A GB is 2^30 bytes, as the stores bill it. Source of the list: docs/formats/objstore-status.md.
 */
import type { BucketOperation, OperationUsage } from '../../storage/index.ts';
import { type ConfigNode, parseConfig } from '../config/config-node.ts';
import { ValueError } from '../config/value-error.ts';

export interface Prices {
  /** Where they are from. */
  readonly source: string;
  readonly currency: string;
  readonly writeRequestsPer1000: number;
  readonly readRequestsPer1000: number;
  /** Of bytes that leave the store's network. */
  readonly egressPerGb: number;
  readonly storagePerGbMonth: number;
}

/** As in the bucket's configuration. */
export type StoreType = 'S3' | 'GCS' | 'AZURE' | 'FILESYSTEM';

const GB = 2 ** 30;

export const LIST_PRICES: Readonly<Record<StoreType, Prices>> = {
  S3: listPrices('AWS S3 Standard, us-east-1', { egress: 0.09, storage: 0.023 }),
  GCS: listPrices('Google Cloud Storage Standard, us-east1', { egress: 0.12, storage: 0.02 }),
  AZURE: listPrices('Azure Blob Storage hot, LRS, East US', { egress: 0.087, storage: 0.018 }),
  FILESYSTEM: {
    source: 'a directory costs nothing',
    currency: 'USD',
    writeRequestsPer1000: 0,
    readRequestsPer1000: 0,
    egressPerGb: 0,
    storagePerGbMonth: 0,
  },
};

/** The three ask the same for requests. */
function listPrices(store: string, { egress, storage }: { egress: number; storage: number }): Prices {
  return {
    source: `${store}, list prices of 2026`,
    currency: 'USD',
    writeRequestsPer1000: 0.005,
    readRequestsPer1000: 0.0004,
    egressPerGb: egress,
    storagePerGbMonth: storage,
  };
}

/** Reads the text of the file at `path`. What it does not say is as in `base`. Throws ConfigError. */
export function parsePrices(text: string, path: string, base: Prices): Prices {
  const given = parseConfig(text, path).fields(
    'currency',
    'write_requests_per_1000',
    'read_requests_per_1000',
    'egress_per_gb',
    'storage_per_gb_month',
  );
  return {
    source: path,
    currency: given.currency?.text() ?? base.currency,
    writeRequestsPer1000: price(given.write_requests_per_1000, base.writeRequestsPer1000),
    readRequestsPer1000: price(given.read_requests_per_1000, base.readRequestsPer1000),
    egressPerGb: price(given.egress_per_gb, base.egressPerGb),
    storagePerGbMonth: price(given.storage_per_gb_month, base.storagePerGbMonth),
  };
}

function price(node: ConfigNode | undefined, otherwise: number): number {
  return node?.parsed(parsePrice) ?? otherwise;
}

function parsePrice(text: string): number {
  if (!/^\d+(?:\.\d+)?(?:e-?\d+)?$/i.test(text)) throw new ValueError('want a price such as 0.005');
  return Number(text);
}

/** What requests cost, and what their answers cost if they leave the store's network. */
export interface UsageCost {
  readonly requests: number;
  readonly egress: number;
}

export function usageCost(
  prices: Prices,
  { operation, requests, receivedBytes }: Pick<OperationUsage, 'operation' | 'requests' | 'receivedBytes'>,
): UsageCost {
  return {
    requests: (requests / 1000) * per1000(prices, operation),
    egress: (receivedBytes / GB) * prices.egressPerGb,
  };
}

/** What the rows cost together. */
export function totalCost(prices: Prices, rows: readonly OperationUsage[]): UsageCost {
  const costs = rows.map((row) => usageCost(prices, row));
  return {
    requests: costs.reduce((sum, { requests }) => sum + requests, 0),
    egress: costs.reduce((sum, { egress }) => sum + egress, 0),
  };
}

/** What it costs to keep so many bytes for a month. */
export function storageCost({ storagePerGbMonth }: Prices, bytes: number): number {
  return (bytes / GB) * storagePerGbMonth;
}

function per1000({ writeRequestsPer1000, readRequestsPer1000 }: Prices, operation: BucketOperation): number {
  switch (operation) {
    case 'put':
    case 'list':
      return writeRequestsPer1000;
    case 'get':
    case 'head':
      return readRequestsPer1000;
    case 'delete':
      return 0;
  }
}
