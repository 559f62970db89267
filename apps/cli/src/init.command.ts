import { type Command, InvalidArgumentError } from 'commander';
import { encodeId } from '#contracts';
import { type OpenedWorkspace, OpenWorkspace } from '#identity';
import { isWorkspaceName, NAME_LENGTH_MAX } from '#tenancy';
import type { CliContext } from './cli-context.js';

const DEFAULT_NAME = 'My workspace';

interface InitOptions {
  readonly name: string;
  readonly forceNew: boolean;
}

/** `init`: opens the first workspace and prints its keys, this once. */
export function register(program: Command, context: CliContext): void {
  program
    .command('init')
    .description('open the first workspace and print its keys once')
    .option('--name <name>', 'name of the workspace', parseName, DEFAULT_NAME)
    .option('--force-new', 'open another workspace although one exists', false)
    .action(async (options: InitOptions) => {
      const workspace = await context.withApplication((application) =>
        application.get(OpenWorkspace).run({ name: options.name, onlyFirst: !options.forceNew }),
      );
      context.output.result(describeWorkspace(workspace), presentWorkspace(workspace));
    });
}

function parseName(text: string): string {
  if (isWorkspaceName(text)) return text;
  throw new InvalidArgumentError(`It must have 1 to ${NAME_LENGTH_MAX} characters.`);
}

function describeWorkspace(workspace: OpenedWorkspace): string[] {
  const environments = workspace.environments.flatMap(({ environment, apiKey, identitySecret }) => [
    '',
    environment.name,
    `  public key       ${environment.publicKey}`,
    `  API key          ${apiKey}`,
    `  identity secret  ${identitySecret}`,
  ]);
  return [
    `The workspace "${workspace.name}" is open. API keys and identity secrets are shown this once: keep them now.`,
    ...environments,
    '',
    'The public key may stand in a web page. The other two belong on your server: the API key calls the API,',
    'the identity secret signs subscriber ids (HMAC-SHA256).',
  ];
}

function presentWorkspace(workspace: OpenedWorkspace): object {
  return {
    workspace: { id: encodeId('workspace', workspace.id), name: workspace.name },
    environments: workspace.environments.map(({ environment, apiKey, identitySecret }) => ({
      id: encodeId('environment', environment.id),
      name: environment.name,
      kind: environment.kind,
      public_key: environment.publicKey,
      api_key: apiKey,
      identity_secret: identitySecret,
    })),
  };
}
