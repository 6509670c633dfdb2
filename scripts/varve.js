#!/usr/bin/env node
/** `npx varve` in a checkout: the kernel is compiled if its sources have changed, and the program runs from source. */
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 15)) {
  console.error(`varve: needs Node 24.15 or newer, this is ${process.version}. After \`npm ci\`, npm and npx bring it.`);
  process.exit(1);
}
await import('./build-kernel.ts');
await import('../src/main.ts');
