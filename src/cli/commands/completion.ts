import { FleetError } from '../../core/errors.ts';
import type { RunCommand } from '../command.ts';
import { exit } from '../exit-codes.ts';

/**
 * Scripts that ask `fleet __complete` at every Tab, so that commands, flags, hosts and groups are always the ones
 * that this fleet and this inventory have. A lone `file` or `folder` as the answer asks the shell for its own.
 */
const scripts: Readonly<Record<string, string>> = {
  bash: `_fleet() {
  local line IFS=$'\\n'
  COMPREPLY=()
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  for line in $(fleet __complete -- "\${words[@]}" 2>/dev/null); do
    case $line in
      :file) compopt -o default; COMPREPLY=(); return ;;
      :folder) compopt -o dirnames; COMPREPLY=(); return ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done
}
complete -F _fleet fleet`,
  zsh: `#compdef fleet
_fleet() {
  local -a answers described
  local line
  answers=("\${(@f)$(fleet __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case $answers[1] in
    :file) _files; return ;;
    :folder) _files -/; return ;;
  esac
  for line in $answers; do
    [[ -n $line ]] && described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe fleet described
}
compdef _fleet fleet`,
  fish: `function __fleet_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (fleet __complete -- $words[2..-1] 2>/dev/null)
    switch $line
      case :file
        __fish_complete_path (commandline -ct)
      case :folder
        __fish_complete_directories (commandline -ct)
      case '*'
        echo $line
    end
  end
end
complete -c fleet -f -a '(__fleet_complete)'`,
};

/** Prints the completion script of a shell. */
export const completion: RunCommand = async ({ arguments: [shell = ''], console }) => {
  const script = scripts[shell];
  if (script === undefined) {
    throw new FleetError({
      code: 'UNKNOWN_SHELL',
      message: `there is no completion for ${JSON.stringify(shell)}`,
      fix: `Choose one of ${Object.keys(scripts).join(', ')}.`,
      blame: 'usage',
    });
  }
  console.result(script);
  return exit.ok;
};
