/**
 * Log lines: one event a line, `ts level msg` and then its own fields, as logfmt or JSON. Nothing a sender or a file says
 * can start a new line or a new field.
 */
import type { Clock } from '../../storage/index.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['logfmt', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What a field may hold; undefined leaves it out. An error is shown by its message, never by its stack. */
export type LogValue = string | number | boolean | Error | undefined;
export type LogFields = Readonly<Record<string, LogValue>>;

/** The service's log. A call never throws and never waits. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  /** Less severe lines are left out. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** Takes one whole line with its newline. */
  readonly write: (line: string) => void;
}

/** A log that writes lines of `level` and above. */
export function createLog({ level: least, format, clock, write }: LogOptions): Log {
  const toLine = format === 'json' ? jsonLine : logfmtLine;
  const writer = (level: LogLevel): Log[LogLevel] => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)) return () => {};
    return (message, fields = {}) => {
      const ts = new Date(clock.nowMs()).toISOString();
      write(`${toLine({ ts, level, msg: message, ...fields })}\n`);
    };
  };
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
}

function logfmtLine(fields: LogFields): string {
  let line = '';
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += `${line === '' ? '' : ' '}${logfmtKey(key)}=${logfmtValue(plain(value))}`;
  }
  return line;
}

function jsonLine(fields: LogFields): string {
  const shown = Object.entries(fields).map(([key, value]) => [key, value === undefined ? value : plain(value)]);
  return escapeControls(JSON.stringify(Object.fromEntries(shown)));
}

function plain(value: string | number | boolean | Error): string | number | boolean {
  if (value instanceof Error) return value.message;
  return typeof value === 'string' ? value.toWellFormed() : value;
}

function logfmtKey(key: string): string {
  return key.replaceAll(/[^\w.-]/g, '_');
}

/** Bare where nothing in it can be misread, else in JSON's quotes, which every logfmt reader takes. */
function logfmtValue(value: string | number | boolean): string {
  const text = String(value);
  return /^[\w.:/@+%,;~[\]()-]+$/.test(text) ? text : escapeControls(JSON.stringify(text));
}

/** JSON leaves DEL, C1 controls, line separators and direction marks as they are; a terminal or a log shipper obeys them. */
function escapeControls(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
