/** Whether an error came from the operating system (a full disk, a missing file …), as opposed to a bug of ours. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
