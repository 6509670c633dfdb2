/** A resource: who sends, and when its data points were taken. */
import type { Attribute, LabelMap } from './otlp-attributes.ts';

const SERVICE_NAME = 'service.name';
const SERVICE_NAMESPACE = 'service.namespace';
const SERVICE_INSTANCE = 'service.instance.id';

/** The keys that become `job` and `instance`. */
export const IDENTIFYING: ReadonlySet<string> = new Set([SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE]);

/** What the data points of a resource have in common. */
export class ResourceFacts {
  readonly attributes: readonly Attribute[];
  /** '' if it has none. */
  readonly job: string;
  readonly instance: string;
  /** Of its data points that have a time. */
  earliestMs: number = Number.POSITIVE_INFINITY;
  latestMs: number = Number.NEGATIVE_INFINITY;

  constructor(attributes: readonly Attribute[]) {
    const attribute = (wanted: string): string | undefined => attributes.find(({ key }) => key === wanted)?.value;
    const namespace = attribute(SERVICE_NAMESPACE);
    const name = attribute(SERVICE_NAME);
    this.attributes = attributes;
    this.job = name === undefined || namespace === undefined ? (name ?? '') : `${namespace}/${name}`;
    this.instance = attribute(SERVICE_INSTANCE) ?? '';
  }

  /** Sets job and instance, over labels of these names from attributes. */
  identify(labels: LabelMap): void {
    if (this.job !== '') labels.set('job', this.job);
    if (this.instance !== '') labels.set('instance', this.instance);
  }

  /** Notes that there is a data point; `timeMs` is 0 for one without a time. */
  note(timeMs: number): void {
    if (timeMs === 0) return;
    this.earliestMs = Math.min(this.earliestMs, timeMs);
    this.latestMs = Math.max(this.latestMs, timeMs);
  }
}
