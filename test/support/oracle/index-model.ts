/** Oracle for the head's index: what its look-ups must find, by going through all series each time. */

export type LabelPairs = readonly (readonly [name: string, value: string])[];

/** The series of one tenant, each by one spelling of its labels. */
export class IndexModel {
  readonly series: Map<string, LabelPairs> = new Map();

  add(labels: LabelPairs): void {
    this.series.set(JSON.stringify(labels), labels);
  }

  /** Label names in byte order. */
  names(): string[] {
    return unique([...this.series.values()].flatMap((labels) => labels.map(([name]) => name)));
  }

  /** Values of a name in byte order. */
  values(wanted: string): string[] {
    return unique(
      [...this.series.values()].flatMap((labels) =>
        labels.filter(([name]) => name === wanted).map(([, value]) => value),
      ),
    );
  }

  /** The series with a pair, in no order. */
  postings(wantedName: string, wantedValue: string): Set<string> {
    return new Set(
      [...this.series]
        .filter(([, labels]) => labels.some(([name, value]) => name === wantedName && value === wantedValue))
        .map(([key]) => key),
    );
  }
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
