/**
 * Samples of one series in time order. Rows [0, length) are valid; the arrays may be longer and are reused. Values are
 * bits: a staleness marker is a NaN payload and survives only in typed arrays, so no value may pass through a plain
 * array or through arithmetic on its way.
 */
export class SampleBuffer {
  length = 0;
  timestamps: Float64Array = new Float64Array(128);
  values: Float64Array = new Float64Array(128);

  /** Makes room for `count` rows in all; keeps the valid ones. */
  reserve(count: number): void {
    if (count <= this.timestamps.length) return;
    const size = Math.max(count, this.timestamps.length * 2);
    const timestamps = new Float64Array(size);
    const values = new Float64Array(size);
    timestamps.set(this.timestamps.subarray(0, this.length));
    values.set(this.values.subarray(0, this.length));
    this.timestamps = timestamps;
    this.values = values;
  }
}
