/** Values of options: whatever a parser refuses is shown as the command line's error. */

import { InvalidArgumentError } from "@commander-js/extra-typings";

/** A parser whose errors are shown as those of the command line. */
export function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof SyntaxError) throw new InvalidArgumentError(`${error.message}.`);
      throw error;
    }
  };
}
