import { readFileSync } from 'node:fs';

/** Reads and compiles a WebAssembly module. Throws with the build command if it is not there. */
export function compileWasmFile(url: URL): WebAssembly.Module {
  try {
    return new WebAssembly.Module(readFileSync(url));
  } catch (cause) {
    throw new Error(`${url.pathname} is missing or damaged; \`npm run kernel\` makes it`, { cause });
  }
}
