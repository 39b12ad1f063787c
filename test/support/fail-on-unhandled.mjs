import { TestEnvironment } from 'jest-environment-node';

/**
 * Runs a test file in Node's environment and fails it when a promise was rejected, or an error
 * thrown, with nobody to handle it. It listens on the real `process`, outside Jest's VM, because
 * the copy that tests see belongs to the file and dies with it.
 */
export default class FailOnUnhandled extends TestEnvironment {
  #unhandled = [];
  #onRejection = (reason) => this.#note('unhandledRejection', reason);
  #onException = (error) => this.#note('uncaughtException', error);

  async setup() {
    await super.setup();
    process.on('unhandledRejection', this.#onRejection);
    process.on('uncaughtException', this.#onException);
  }

  async teardown() {
    // Node reports a rejection after the microtasks drained: give the last test's ones that turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', this.#onRejection);
    process.off('uncaughtException', this.#onException);
    await super.teardown();
    if (this.#unhandled.length > 0) throw new Error(this.#unhandled.join('\n'));
  }

  #note(event, problem) {
    const detail = problem?.stack ?? String(problem);
    this.#unhandled.push(`${event}: ${detail}`);
  }
}
