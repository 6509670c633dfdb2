/** The answer to a wrong path: which one was probably meant. */

/** The paths that people are pointed at. */
const PUBLIC_PATHS = [
  '/api/v1/write',
  '/api/v1/otlp/v1/metrics',
  '/api/v1/read',
  '/api/v1/labels',
  '/api/v1/label/<name>/values',
  '/api/v1/series',
  '/api/v1/metadata',
  '/api/v1/status/buildinfo',
  '/metrics',
  '/-/healthy',
  '/-/ready',
] as const;

/** The last segment, or segments, of paths that other products, older versions and common slips use. */
const HABITS: readonly (readonly [ending: RegExp, path: (typeof PUBLIC_PATHS)[number]])[] = [
  [/^(remote[-_]?write|write|receive|push|ingest|import|insert)$/, '/api/v1/write'],
  [/^(remote[-_]?read|read)$/, '/api/v1/read'],
  [/^(health|healthy|healthz|livez|alive|ping)$/, '/-/healthy'],
  [/^(ready|readyz|readiness)$/, '/-/ready'],
  [/^(labels|label_?names)$/, '/api/v1/labels'],
  [/^(values|label_?values)$/, '/api/v1/label/<name>/values'],
  [/^(series)$/, '/api/v1/series'],
  [/^(metadata)$/, '/api/v1/metadata'],
  [/^(buildinfo|version)$/, '/api/v1/status/buildinfo'],
  [/^(metrics)$/, '/metrics'],
];

const PROMQL = /\/api\/v1\/(query|query_range|query_exemplars|format_query|parse_query|rules|alerts)\/?$/;
const OTLP = /\/(otlp|opentelemetry)(\/|$)|\/v1\/metrics\/?$/;
/** The other signals of OTLP. */
const NO_METRICS = /\/v1(development)?\/(traces|logs|profiles)\/?$/;
const OTLP_PATH = '/api/v1/otlp/v1/metrics';
const SHOWN_CHARACTERS = 100;

/**
 * The text of a 404: the path that was asked for, and the known one that is nearest to it (`routePrefix` in front), or
 * all of them if none is near.
 */
export function notFoundText(path: string, routePrefix: string): string {
  const shown = JSON.stringify(path.length > SHOWN_CHARACTERS ? `${path.slice(0, SHOWN_CHARACTERS)}…` : path);
  if (PROMQL.test(path)) {
    return `404 page not found: ${shown} is not served yet; a Prometheus with remote_read at ${routePrefix}/api/v1/read can query`;
  }
  if (NO_METRICS.test(path)) {
    return `404 page not found: ${shown} is not served: of OTLP only metrics are, at ${routePrefix}${OTLP_PATH}`;
  }
  const nearest = OTLP.test(path) ? OTLP_PATH : nearestPath(path);
  if (nearest !== undefined) return `404 page not found: ${shown}; did you mean ${routePrefix}${nearest}?`;
  const known = PUBLIC_PATHS.map((known) => routePrefix + known).join(', ');
  return `404 page not found: ${shown}; there are ${known}`;
}

function nearestPath(path: string): string | undefined {
  // `:19009/ingest` as a path: somebody pasted a port into the host's place.
  const segments = path
    .toLowerCase()
    .split('/')
    .filter((segment) => segment !== '');
  const last = segments.at(-1) ?? '';
  const habit = HABITS.find(([ending]) => ending.test(last));
  if (habit !== undefined) return habit[1];
  if (segments.some((segment) => /^(insert|push|receive|write)$/.test(segment))) return '/api/v1/write';
  if (segments.some((segment) => /^(select|read)$/.test(segment))) return '/api/v1/read';
  return nearestBySpelling(`/${segments.join('/')}`);
}

/** The path with the fewest edits, if they are few for its length. */
function nearestBySpelling(path: string): string | undefined {
  let nearest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const known of PUBLIC_PATHS) {
    // A longer text cannot be near, and must not cost time.
    if (Math.abs(known.length - path.length) > known.length / 3) continue;
    const edits = editDistance(known, path);
    if (edits <= known.length / 3 && edits < fewest) {
      fewest = edits;
      nearest = known;
    }
  }
  return nearest;
}

/** Levenshtein's distance of two short texts. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
