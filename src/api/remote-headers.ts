/** What the headers of remote write and remote read must say. Source: the remote write 1.0 and 2.0 specifications. */
import { RequestError } from './errors.ts';

const MEDIA_TYPE = 'application/x-protobuf';
const V1_MESSAGE = 'prometheus.WriteRequest';
const V2_MESSAGE = 'io.prometheus.write.v2.Request';
const ACCEPTED = `${MEDIA_TYPE} or ${MEDIA_TYPE};proto=${V1_MESSAGE} (remote write 1.0)`;
/** No Content-Type that is accepted comes near it. */
const CONTENT_TYPE_MAX_CHARACTERS = 256;
const SHOWN_CHARACTERS = 80;

/** The first bytes of snappy's framed (stream) format, which is not the block format of remote write. */
const FRAMED_SNAPPY: Buffer = Buffer.from('\xff\x06\x00\x00sNaPpY', 'latin1');

/** For writes: throws a RequestError (415) that names what is accepted. A request without the header is taken as remote write 1.0. */
export function checkContentType(contentType: string | undefined): void {
  if (contentType === undefined || contentType === MEDIA_TYPE) return;
  const message = messageOf(contentType);
  if (message === V1_MESSAGE) return;
  if (message === V2_MESSAGE) {
    throw new RequestError(415, `remote write 2.0 (${V2_MESSAGE}) is not accepted yet: send ${ACCEPTED}`);
  }
  throw new RequestError(
    415,
    `Content-Type ${quoted(contentType)} is not accepted: send ${ACCEPTED}; ${V2_MESSAGE} is not accepted yet`,
  );
}

/** The protobuf message that a Content-Type announces, or undefined if it makes no sense. */
function messageOf(contentType: string): string | undefined {
  if (contentType.length > CONTENT_TYPE_MAX_CHARACTERS) return undefined;
  const [mediaType, ...parameters] = contentType.split(';').map((part) => part.trim());
  if (mediaType?.toLowerCase() !== MEDIA_TYPE) return undefined;
  let message: string | undefined;
  for (const parameter of parameters) {
    const [name = '', value, ...rest] = parameter.split('=');
    if (value === undefined || rest.length > 0) return undefined;
    if (name.toLowerCase() !== 'proto') continue;
    if (message !== undefined) return undefined;
    message = value.replace(/^"(.*)"$/, '$1');
  }
  return message ?? V1_MESSAGE;
}

/** For reads: throws a RequestError (415) for anything but snappy; a body without the header is taken as snappy. */
export function checkContentEncoding(contentEncoding: string | undefined): void {
  if (contentEncoding === undefined || contentEncoding.toLowerCase() === 'snappy') return;
  throw encodingRefused(contentEncoding, 'only snappy (block format)');
}

/** For writes: how the body is packed. vmagent sends zstd. Throws a RequestError (415) for anything else. */
export function writeEncoding(contentEncoding: string | undefined): 'snappy' | 'zstd' {
  if (contentEncoding === undefined || contentEncoding === 'snappy') return 'snappy';
  const encoding = contentEncoding.toLowerCase();
  if (encoding === 'snappy' || encoding === 'zstd') return encoding;
  throw encodingRefused(contentEncoding, 'only snappy (block format) and zstd');
}

function encodingRefused(contentEncoding: string, accepted: string): RequestError {
  return new RequestError(415, `Content-Encoding ${quoted(contentEncoding)} is not accepted: ${accepted}`);
}

/** Throws a RequestError (400) for snappy bodies that need no decoder to be refused. */
export function checkBody(body: Buffer, message: 'WriteRequest' | 'ReadRequest'): void {
  if (body.length === 0) throw new RequestError(400, `empty body: a snappy-compressed ${message} is required`);
  if (body[0] === 0xff && body.subarray(0, FRAMED_SNAPPY.length).equals(FRAMED_SNAPPY)) {
    throw new RequestError(400, 'snappy: block format required, this is the framed format');
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}
