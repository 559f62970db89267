import { readEnvironment } from '#config';
import { runCli } from './run-cli.js';

process.exitCode = await runCli(process.argv.slice(2), { env: readEnvironment(), stdout: process.stdout, stderr: process.stderr });
