/** A headless browser without a network that opens reports. */

import puppeteer, { type Browser, type Page } from "puppeteer-core";

/** Of Debian's package chromium. */
export const CHROMIUM = "chromium";
const READY_MS = 60_000;

interface MapNode {
  empty(): boolean;
  renderedPosition(): { readonly x: number; readonly y: number };
}

/** What Cytoscape keeps at the element that it draws in. */
interface MapElement extends HTMLElement {
  readonly _cyreg: {
    readonly cy: { $id(id: string): MapNode; nodes(selector: string): { toArray(): { id(): string; data(key: string): string }[] } };
  };
}

/** A page with a report that is drawn. */
export class ReportPage implements AsyncDisposable {
  readonly #browser: Browser;
  /** What the page said that it must not: errors, dialogs, requests beyond its own file. */
  readonly complaints: string[] = [];

  private constructor(browser: Browser, readonly page: Page) {
    this.#browser = browser;
  }

  static async open(path: string): Promise<ReportPage> {
    const browser = await puppeteer.launch({
      executablePath: await commandPath(CHROMIUM),
      args: ["--no-sandbox", "--disable-gpu"],
      headless: true,
    });
    const report = new ReportPage(browser, await browser.newPage());
    await report.#load(path);
    return report;
  }

  async #load(path: string): Promise<void> {
    const { page, complaints } = this, url = `file://${path}`;
    await page.setViewport({ width: 1_440, height: 900 });
    await page.setOfflineMode(true);
    page.on("pageerror", (error) => complaints.push(`error: ${error}`));
    page.on("console", (message) => complaints.push(`console: ${message.text()}`));
    page.on(
      "request",
      (request) => request.url() === url || request.url().startsWith("data:") ? undefined : complaints.push(`request: ${request.url()}`),
    );
    page.on("dialog", async (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    await page.goto(url);
    await page.waitForSelector("body[data-ready]", { timeout: READY_MS });
  }

  /** Milliseconds from the begin of loading until something is drawn. */
  async firstDrawingMs(): Promise<number> {
    const handle = await this.page.waitForFunction(() => performance.getEntriesByName("first drawing")[0]?.startTime, {
      timeout: READY_MS,
    });
    return Number(await handle.jsonValue());
  }

  /** Clicks the service where it is drawn. */
  async clickService(place: number): Promise<void> {
    const { x, y } = await this.page.$eval("#map", (element, id) => {
      const box = element.getBoundingClientRect(), at = (element as MapElement)._cyreg.cy.$id(id).renderedPosition();
      return { x: box.x + at.x, y: box.y + at.y };
    }, `service ${place}`);
    await this.page.mouse.click(x, y);
  }

  /** Texts of the elements, as they are in the page. */
  texts(selector: string): Promise<string[]> {
    return this.page.$$eval(selector, (elements) => elements.map((element) => element.textContent ?? ""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

async function commandPath(name: string): Promise<string> {
  const { stdout } = await new Deno.Command("which", { args: [name], stdout: "piped" }).output();
  return new TextDecoder().decode(stdout).trim();
}
