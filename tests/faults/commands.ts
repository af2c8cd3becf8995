/** Which jobs run, alone or two at once. */

type Random = (below: number) => number;

/** Arguments of `jobs`. */
export type JobCommand = readonly string[];

/** What runs at once: the one that a fault befalls, and maybe another. */
export interface Turn {
  readonly victim: JobCommand;
  readonly companion: JobCommand | null;
}

/** The jobs of one lake. */
export class Commands {
  readonly #lake: string;
  readonly #topic: string;
  readonly #random: Random;

  constructor(lake: string, topic: string, random: Random) {
    [this.#lake, this.#topic, this.#random] = [lake, topic, random];
  }

  /** Moves everything. */
  get etl(): JobCommand {
    return this.#etl();
  }

  /** Takes in everything. */
  get all(): readonly JobCommand[] {
    return [this.etl, this.#dependencies()];
  }

  /** Draws what runs next. */
  turn(): Turn {
    switch (this.#random(8)) {
      case 0:
        return { victim: this.#etl("--partitions", "0-1"), companion: this.#etl("--partitions", "2-3") };
      case 1:
        return this.#isKafka
          ? { victim: this.#etl("--group", "g"), companion: this.#etl("--group", "g") }
          : { victim: this.etl, companion: this.etl };
      case 2:
        return { victim: this.#compact, companion: this.#random(2) === 0 ? this.etl : this.#vacuum };
      case 3:
        return { victim: this.etl, companion: this.#compact };
      case 4:
        return { victim: this.#dependencies(), companion: this.#random(2) === 0 ? this.etl : null };
      case 5:
        return this.#isKafka
          ? { victim: this.#dependencies("--group", "d"), companion: this.#dependencies("--group", "d") }
          : { victim: this.#dependencies("--partitions", "0-1"), companion: this.#dependencies("--partitions", "2-3") };
      case 6:
        return { victim: this.#random(2) === 0 ? this.#vacuum : this.#compact, companion: null };
      default:
        return { victim: this.etl, companion: null };
    }
  }

  get #isKafka(): boolean {
    return this.#topic.startsWith("kafka:");
  }

  #etl(...more: string[]): JobCommand {
    return ["run", "etl", "--topic", this.#topic, "--lake", this.#lake, ...more];
  }

  #dependencies(...more: string[]): JobCommand {
    return ["run", "dependencies", "--topic", this.#topic, "--lake", this.#lake, ...more];
  }

  get #compact(): JobCommand {
    return ["run", "compact", "--lake", this.#lake];
  }

  get #vacuum(): JobCommand {
    return ["vacuum", "--lake", this.#lake, ...(this.#random(2) === 0 ? [] : ["--retain-hours", "0"])];
  }
}
