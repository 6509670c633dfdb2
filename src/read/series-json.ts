/**
 * The answers of /api/v1/labels, /api/v1/label/<name>/values and /api/v1/series: Prometheus's envelope around a list,
 * written piece by piece straight to bytes.
 */
import { type Labels, labelNames, labelValues, StorageError, selectLabelSets } from '../../storage/index.ts';
import { type Answer, ReadBudget, type ReadContext } from './read-context.ts';
import type { Listing } from './read-job.ts';
import { parseSelector } from './selector.ts';

const PIECE_CHARACTERS = 65_536;
const TRUNCATED = 'results truncated due to limit';

/** The names of labels. Throws StorageError 'invalid' if a selector is none. */
export async function answerLabelNames(listing: Listing, context: ReadContext): Promise<Answer> {
  const [selection, sources] = await prepare(listing, context);
  return json(listBody(async () => await labelNames(sources, selection), context));
}

/** The values of one label. Throws StorageError 'invalid' if a selector is none. */
export async function answerLabelValues(name: string, listing: Listing, context: ReadContext): Promise<Answer> {
  const [selection, sources] = await prepare(listing, context);
  return json(listBody(async () => await labelValues(sources, name, selection), context));
}

/** The labels of series. Throws StorageError 'invalid' if there is no selector, or one that is none. */
export async function answerSeries(listing: Listing, context: ReadContext): Promise<Answer> {
  if (listing.selectors.length === 0) throw new StorageError('invalid', 'no match[] parameter provided');
  const [selection, sources] = await prepare(listing, context);
  return json(seriesBody(selectLabelSets(sources, selection.matcherSets, selection.range), listing.limit, context));
}

async function prepare({ selectors, range, limit }: Listing, context: ReadContext) {
  const selection = { matcherSets: selectors.map(parseSelector), range, limit };
  const [sources = []] = await context.sources([range]);
  return [selection, sources] as const;
}

function json(body: Answer['body']): Answer {
  return { contentType: 'application/json', contentEncoding: undefined, body };
}

async function* listBody(
  list: () => Promise<{ readonly values: readonly string[]; readonly truncated: boolean }>,
  context: ReadContext,
): Answer['body'] {
  const { values, truncated } = await list();
  const envelope = new Envelope(context);
  for (const value of values) {
    envelope.add(JSON.stringify(value));
    if (envelope.isFull) yield await envelope.takeAndTurn();
  }
  yield envelope.end(truncated);
}

async function* seriesBody(
  batches: AsyncGenerator<Labels[], void, undefined>,
  limit: number,
  context: ReadContext,
): Answer['body'] {
  const envelope = new Envelope(context);
  let count = 0;
  for await (const batch of batches) {
    for (const labels of batch) {
      if (limit > 0 && count === limit) {
        yield envelope.end(true);
        return;
      }
      count++;
      envelope.add(labelsAsJson(labels));
    }
    if (envelope.isFull) yield await envelope.takeAndTurn();
  }
  yield envelope.end(false);
}

function labelsAsJson(labels: Labels): string {
  let text = '';
  for (let i = 0; i < labels.length; i += 2) {
    text += `${i === 0 ? '{' : ','}${JSON.stringify(labels[i])}:${JSON.stringify(labels[i + 1])}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** `{"status":"success","data":[…]}`, with warnings after the list: only then it is known whether there are any. */
class Envelope {
  readonly #context: ReadContext;
  readonly #budget: ReadBudget;
  #text = '{"status":"success","data":[';
  #separator = '';

  constructor(context: ReadContext) {
    this.#context = context;
    this.#budget = new ReadBudget(context.limits);
  }

  add(element: string): void {
    this.#text += this.#separator + element;
    this.#separator = ',';
  }

  get isFull(): boolean {
    return this.#text.length >= PIECE_CHARACTERS;
  }

  async takeAndTurn(): Promise<Uint8Array> {
    await this.#context.turn();
    return this.#take();
  }

  end(truncated: boolean): Uint8Array {
    const warnings = [...this.#context.warnings(), ...(truncated ? [TRUNCATED] : [])];
    this.#text += warnings.length === 0 ? ']}' : `],"warnings":${JSON.stringify(warnings)}}`;
    return this.#take();
  }

  #take(): Uint8Array {
    const bytes = new TextEncoder().encode(this.#text);
    this.#budget.spend(0, bytes.length);
    this.#text = '';
    return bytes;
  }
}
