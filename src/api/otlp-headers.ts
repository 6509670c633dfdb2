/** What the headers of an OTLP request must say. Source: opentelemetry-proto docs/specification.md, OTLP/HTTP. */
import type { OtlpFormat } from '../ingest/otlp-answer.ts';
import type { OtlpEncoding } from '../ingest/otlp-messages.ts';
import { RequestError } from './errors.ts';

export const MEDIA_TYPES: Readonly<Record<OtlpFormat, string>> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
};

const SHOWN_CHARACTERS = 80;

/** The form that a Content-Type announces, whatever its parameters; undefined for any other. */
export function otlpFormat(contentType: string | undefined): OtlpFormat | undefined {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === MEDIA_TYPES.protobuf) return 'protobuf';
  return mediaType === MEDIA_TYPES.json ? 'json' : undefined;
}

/** Like `otlpFormat`. Throws a RequestError (415) that names what is accepted. */
export function requireOtlpFormat(contentType: string | undefined): OtlpFormat {
  const format = otlpFormat(contentType);
  if (format !== undefined) return format;
  const sent = contentType === undefined ? 'a request without Content-Type' : `Content-Type ${quoted(contentType)}`;
  throw new RequestError(415, `${sent} is not accepted: send ${MEDIA_TYPES.protobuf} or ${MEDIA_TYPES.json}`);
}

/** How a body is packed. Throws a RequestError (415) for an encoding that is not accepted. */
export function otlpEncoding(contentEncoding: string | undefined): OtlpEncoding {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity' || encoding === 'none') return 'none';
  if (encoding === 'gzip' || encoding === 'zstd') return encoding;
  throw new RequestError(415, `Content-Encoding ${quoted(encoding)} is not accepted: send gzip, zstd or none`);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}
