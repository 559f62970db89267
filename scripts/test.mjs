#!/usr/bin/env node
/**
 * `npm test`: every vitest project in turn, closed by the line `N passed, N failed, N skipped`. Arguments are handed to vitest
 * (`npm test -- --project integration`). BELFRY_REQUIRE=kafka,browser turns the skip of such a part into a failure;
 * `recipes` does so for every language of the recipes, `recipe-go` for one.
 */
import { spawn } from 'node:child_process';

const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
