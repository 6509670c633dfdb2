/** OTLP's answers in both of its forms. The messages are small and few, so they are written out here. */
import { ByteWriter } from '../../storage/index.ts';

/** What a request was sent as, and is answered as. */
export type OtlpFormat = 'protobuf' | 'json';

/** Protobuf's keys: field number × 8 + wire type. */
const PARTIAL_SUCCESS = 0x0a;
const REJECTED_DATA_POINTS = 0x08;
const ERROR_MESSAGE = 0x12;
const STATUS_MESSAGE = 0x12;

/** An ExportMetricsServiceResponse; `message` says what there is to say of a success that is not whole, '' of one that is. */
export function exportResponse(rejectedDataPoints: number, message: string, format: OtlpFormat): Buffer {
  const isWhole = rejectedDataPoints === 0 && message === '';
  if (format === 'json') {
    // An int64 is a string in protobuf's JSON.
    const partialSuccess = { rejectedDataPoints: String(rejectedDataPoints), errorMessage: message };
    return Buffer.from(JSON.stringify(isWhole ? {} : { partialSuccess }));
  }
  if (isWhole) return Buffer.alloc(0);
  const partialSuccess = new ByteWriter();
  if (rejectedDataPoints > 0) {
    partialSuccess.u8(REJECTED_DATA_POINTS);
    partialSuccess.uvarint(rejectedDataPoints);
  }
  partialSuccess.u8(ERROR_MESSAGE);
  partialSuccess.text(message);
  const response = new ByteWriter();
  response.u8(PARTIAL_SUCCESS);
  response.uvarint(partialSuccess.length);
  response.raw(partialSuccess.bytes);
  return Buffer.from(response.bytes);
}

/** A google.rpc.Status, for an error. Its code is left out: over HTTP the status line has it. */
export function errorStatus(message: string, format: OtlpFormat): Buffer {
  if (format === 'json') return Buffer.from(JSON.stringify({ message }));
  const status = new ByteWriter();
  status.u8(STATUS_MESSAGE);
  status.text(message);
  return Buffer.from(status.bytes);
}
