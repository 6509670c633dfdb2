/** What the headers of remote write and remote read must say. Source: the remote write 1.0 and 2.0 specifications. */
import { RequestError } from './errors.ts';

const MEDIA_TYPE = 'application/x-protobuf';
const V1_MESSAGE = 'prometheus.WriteRequest';
const V2_MESSAGE = 'io.prometheus.write.v2.Request';
const V2_CONTENT_TYPE = `${MEDIA_TYPE};proto=${V2_MESSAGE}`;
const ACCEPTED = `${MEDIA_TYPE};proto=${V1_MESSAGE} (remote write 1.0, also without proto=) or ${V2_CONTENT_TYPE} (2.0)`;
/** No Content-Type that is accepted comes near it. */
const CONTENT_TYPE_MAX_CHARACTERS = 256;
const SHOWN_CHARACTERS = 80;

/** The first bytes of snappy's framed (stream) format, which is not the block format of remote write. */
const FRAMED_SNAPPY: Buffer = Buffer.from('\xff\x06\x00\x00sNaPpY', 'latin1');

/** For writes: which message the body is, by its Content-Type alone; undefined if that makes no sense. Without one it is of 1.0. */
export function announcedProtocol(contentType: string | undefined): 'v1' | 'v2' | undefined {
  const message = contentType === undefined ? V1_MESSAGE : messageOf(contentType);
  if (message === V1_MESSAGE) return 'v1';
  return message === V2_MESSAGE ? 'v2' : undefined;
}

/** As `announcedProtocol`; throws a RequestError (415) that names what is accepted. */
export function writeProtocol(contentType: string | undefined): 'v1' | 'v2' {
  const protocol = announcedProtocol(contentType);
  if (protocol !== undefined) return protocol;
  throw new RequestError(415, `Content-Type ${quoted(contentType ?? '')} is not accepted: send ${ACCEPTED}`);
}

/** The protobuf message that a Content-Type announces, or undefined if it makes no sense. */
function messageOf(contentType: string): string | undefined {
  if (contentType === MEDIA_TYPE) return V1_MESSAGE;
  if (contentType === V2_CONTENT_TYPE) return V2_MESSAGE;
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
export function checkBody(body: Buffer, message: 'WriteRequest' | 'Request' | 'ReadRequest'): void {
  if (body.length === 0) throw new RequestError(400, `empty body: a snappy-compressed ${message} is required`);
  if (body[0] === 0xff && body.subarray(0, FRAMED_SNAPPY.length).equals(FRAMED_SNAPPY)) {
    throw new RequestError(400, 'snappy: block format required, this is the framed format');
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}
