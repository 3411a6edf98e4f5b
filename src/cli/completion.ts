/** `completion`: what a shell needs to complete commands and options, and the answers to what it then asks. */
import { RootCommand, script } from '@bomb.sh/tab';
import { Argument, type Command } from 'commander';
import { command, exitWith } from './command.ts';

const SHELLS = ['bash', 'zsh', 'fish'];

/** The script uses this function of the package bash-completion, which not every machine has. */
const WITHOUT_BASH_COMPLETION = `declare -F _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref() {
    words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD
    cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
}
`;

export const completion = command('completion', {
  description:
    'Prints a script that has the shell complete commands and options. For bash: add source <(scrip completion bash) to ' +
    '~/.bashrc. For zsh the same in ~/.zshrc. For fish: scrip completion fish | source, in ~/.config/fish/config.fish. ' +
    'It expects scrip on the PATH.',
  examples: ['bash', 'zsh', 'fish'],
})
  .addArgument(new Argument('<shell>').choices(SHELLS))
  .action(
    exitWith(async (shell: string) => {
      if (shell === 'bash') process.stdout.write(WITHOUT_BASH_COMPLETION);
      script(shell, 'scrip', 'scrip');
      return 0;
    }),
  );

/** Answers a shell that wants to know how these words of a command line go on. */
export function complete(program: Command, words: readonly string[]): void {
  const answers = new RootCommand();
  addCommands(answers, program, '');
  answers.parse([...words]);
}

function addCommands(answers: RootCommand, parent: Command, path: string): void {
  for (const one of parent.commands) {
    const name = `${path}${one.name()}`;
    const known = answers.command(name, firstSentence(one.description()));
    for (const { long, description, argChoices = [], required } of one.options)
      if (long)
        // An option whose value cannot be guessed completes nothing, and is no flag.
        known.option(long.slice(2), description, ...(required ? [offer(argChoices)] : []));
    for (const argument of one.registeredArguments)
      known.argument(argument.name(), offer(argument.argChoices ?? []), argument.variadic);
    addCommands(answers, one, `${name} `);
  }
}

const offer =
  (choices: readonly string[]) =>
  (accept: (value: string, description: string) => void): void => {
    for (const choice of choices) accept(choice, '');
  };

const firstSentence = (text: string): string => text.replace(/[.:;].*$/s, '');
