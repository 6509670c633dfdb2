/** What the bucket holds, was asked and costs, and how long the disk will do. Spec: docs/formats/objstore-status.md. */
import type { FastifyInstance } from 'fastify';
import type { Database } from '../../storage/index.ts';
import type { Account } from '../objectstore/account.ts';
import type { Forecast } from '../objectstore/forecast.ts';
import { totalCost, usageCost } from '../objectstore/prices.ts';
import { sendSuccess } from './envelope.ts';
import { addRoute, readPaths } from './routes.ts';
import type { Service } from './service.ts';

/** Adds /api/v1/status/objstore. */
export function addObjstoreStatusRoute(app: FastifyInstance, service: Service): void {
  addRoute(app, {
    name: '/api/v1/status/objstore',
    methods: ['GET'],
    paths: readPaths('/api/v1/status/objstore'),
    errorsAs: 'json',
    respond: (_request, reply) => sendSuccess(reply, reportOf(service.database, service.account)),
  });
}

/** Times are RFC 3339; null: not known yet, or never. */
function reportOf(database: Database, account: Account): object {
  const stats = database.stats();
  const usage = database.blockUsage();
  const forecast = account.forecast(stats, usage);
  return {
    bucket: bucketReport(account, stats),
    usage: usageReport(account),
    cost: costReport(account, forecast),
    blocks: usage.states,
    backlog: { blocks: stats.backlogBlocks, bytes: stats.backlogBytes, seconds: stats.backlogSeconds },
    quarantined: database.quarantinedBlocks(),
    leftAlone: {
      blocks: usage.leftAlone.map(({ ulid, state, bucketDirectory, tenant, bytes, reason, firstSeenMs }) => ({
        ulid,
        state,
        directory: bucketDirectory,
        tenant,
        bytes,
        reason,
        firstSeen: timeText(firstSeenMs),
      })),
      objects: account.strays,
    },
    forecast: forecastReport(forecast),
  };
}

function bucketReport({ bucket, lastError }: Account, stats: ReturnType<Database['stats']>): object | null {
  if (bucket === undefined) return null;
  return {
    type: bucket.type,
    description: bucket.description,
    failing: stats.bucketFailing === 1,
    lastSync: timeText(stats.lastSyncSeconds * 1000),
    lastUpload: timeText(stats.lastUploadSeconds * 1000),
    lastError: lastError === undefined ? null : { time: timeText(lastError.atMs), message: lastError.message },
  };
}

function usageReport(account: Account): object {
  const { bucket, startedMs } = account;
  const rows = account.rows().map((row) => ({ ...row, cost: bucket && usageCost(bucket.prices, row) }));
  return { since: timeText(startedMs), rows };
}

function costReport(account: Account, forecast: Forecast): object | null {
  const { bucket } = account;
  const month = account.monthlyCost(forecast);
  if (bucket === undefined || month === undefined) return null;
  const { storage, expectedStorage = null, usage } = month;
  return {
    prices: bucket.prices,
    sinceStart: totalCost(bucket.prices, account.rows()),
    month: { storage, requests: usage?.requests ?? null, egress: usage?.egress ?? null },
    storageIn30Days: expectedStorage,
  };
}

function forecastReport({ disk, bucket }: Forecast): object {
  return {
    disk: {
      availableBytes: disk.availableBytes,
      blockBytesPerDay: orNull(disk.blockBytesADay),
      otherBytesPerDay: orNull(disk.otherBytesADay),
      daysUntilFull: orNull(disk.daysUntilFull),
      daysWithoutBucket: orNull(disk.daysWithoutBucket),
    },
    bucket:
      bucket === undefined
        ? null
        : {
            bytes: bucket.bytes,
            bytesPerDay: orNull(bucket.bytesADay),
            bytesIn30Days: orNull(bucket.expectedBytes),
          },
  };
}

function orNull(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}

/** Null for 0, which stands for never. */
function timeText(ms: number): string | null {
  return ms === 0 ? null : new Date(ms).toISOString();
}
