import type { BucketUsage, OperationUsage } from '../../storage/index.ts';
import type { Metrics } from './metrics.ts';

type Figure = Exclude<keyof OperationUsage, 'purpose' | 'operation'>;

const BUCKET_METRICS: { readonly [Name in Figure]: { readonly name: string; readonly help: string } } = {
  requests: {
    name: 'objstore_requests_total',
    help: 'Requests to the bucket, each try and each part of an upload counted, as the store bills them.',
  },
  failures: { name: 'objstore_failures_total', help: 'Requests to the bucket that failed.' },
  receivedBytes: { name: 'objstore_received_bytes_total', help: 'Bytes of objects that came from the bucket.' },
  sentBytes: { name: 'objstore_sent_bytes_total', help: 'Bytes of objects that were sent to the bucket.' },
};

/** Exports what was asked of the bucket, by operation and purpose. */
export function exportBucketUsage(metrics: Metrics, usage: BucketUsage): void {
  for (const [figure, { name, help }] of Object.entries(BUCKET_METRICS)) {
    metrics.countersFrom({ name, help, labelNames: ['operation', 'purpose'] }, () =>
      usage.rows().map(({ operation, purpose, ...row }) => ({
        labels: { operation, purpose },
        value: row[figure as Figure],
      })),
    );
  }
}
