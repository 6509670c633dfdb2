/**
 * The last line of a test run: `N passed, M failed, K skipped`. Where CI=true is set, a skipped test is a failure: there
 * every peer is installed, and a test that did not run has shown nothing.
 */
import type { Reporter, TestModule } from 'vitest/node';

/** How a run ended. `skipped` holds the full names of the tests that did not run. */
interface Outcome {
  passed: number;
  failed: number;
  skipped: string[];
}

export default class ClosingLineReporter implements Reporter {
  #outcome: Outcome = { passed: 0, failed: 0, skipped: [] };

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#outcome = countTests(modules);
    this.#outcome.failed += unhandledErrors.length;
    // At exit, because other reporters write after this call; the exit code is the run's own, if it failed.
    process.off('exit', this.#close);
    process.once('exit', this.#close);
  }

  readonly #close = (): void => {
    const { passed, failed, skipped } = this.#outcome;
    const strict = process.env.CI === 'true';
    if (strict && skipped.length > 0) {
      process.exitCode = 1;
      console.log(`With CI=true no test may be skipped:\n${skipped.map((name) => `  ${name}`).join('\n')}`);
    }
    console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  };
}

function countTests(modules: readonly TestModule[]): Outcome {
  const outcome: Outcome = { passed: 0, failed: 0, skipped: [] };
  for (const module of modules) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') outcome.passed++;
      else if (state === 'failed') failedHere++;
      else outcome.skipped.push(`${module.relativeModuleId}: ${test.fullName}`);
    }
    // A module that does not load, or whose hook fails, has no failed test to show for it.
    if (failedHere === 0 && module.state() === 'failed') failedHere = 1;
    outcome.failed += failedHere;
  }
  return outcome;
}
