// Reads every page of the built book as a reader without a network does, in headless Chromium: in the light and in the
// dark theme, and by touch on a screen 390 pixels wide. Prints each fault with its page; any fault makes it fail.
//
//   CHROMIUM=/usr/bin/chromium node browser/check.mjs [--site FOLDER] [--only PAGE] [--shots FOLDER]
//
// `--only book/intro.html`, once or more often, reads only these pages; `--shots` keeps a picture of each page in each
// of the three ways.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "../_vendor/node_modules/playwright-core/index.mjs";

const { values: options } = parseArgs({
  options: {
    site: { type: "string", default: fileURLToPath(new URL("../_build/html", import.meta.url)) },
    only: { type: "string", multiple: true },
    shots: { type: "string" },
  },
});
const site = path.resolve(options.site);
const WAYS = {
  light: { viewport: { width: 1300, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1300, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true },
};

// ---- the site: served from this machine, everything else unreachable -------------------------------------------------
const TYPES = {
  html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", json: "application/json",
  svg: "image/svg+xml", png: "image/png", woff2: "font/woff2", woff: "font/woff",
};
const server = http.createServer((request, response) => {
  const name = decodeURIComponent(new URL(request.url, "http://site").pathname);
  const file = path.join(site, name.endsWith("/") ? name + "index.html" : name);
  fs.readFile(file, (error, data) => {
    if (error) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": TYPES[path.extname(file).slice(1)] ?? "application/octet-stream",
      "cache-control": "max-age=600",
    });
    response.end(data);
  });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const base = `http://127.0.0.1:${server.address().port}/`;

const all = fs
  .readdirSync(site, { recursive: true })
  .map((name) => name.split(path.sep).join("/"))
  .filter((name) => name.endsWith(".html") && !name.startsWith("_static/"))
  .sort();
const pages = all.filter((name) => !options.only || options.only.includes(name));
if (!pages.length) {
  console.error(`no page ${options.only ?? ""} in ${site}; there are ${all.join(", ") || "none"}`);
  process.exit(2);
}

const faults = new Map(); // "page: fault" -> the ways in which it was seen
const report = (page, way, fault) => {
  const line = `${page}: ${fault}`;
  if (!faults.has(line)) faults.set(line, new Set());
  faults.get(line).add(way);
};

// ---- what is asked of a page; runs in the page and returns the faults it sees ----------------------------------------
function look(width) {
  const found = [];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  const named = (element) => {
    const name = element.localName + (element.id && `#${element.id}`) + [...element.classList].map((c) => `.${c}`).join("");
    return `<${name.slice(0, 60)}> ${(element.textContent || element.getAttribute("src") || "").trim().slice(0, 50)}`;
  };

  // mathematics is set, and no source of it is left over
  for (const math of document.querySelectorAll(".math"))
    if (!math.querySelector("mjx-container")?.getBoundingClientRect().width && visible(math))
      found.push(`mathematics is not set: ${named(math)}`);
  for (const error of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    found.push(`mathematics with an error: ${error.getAttribute("data-mjx-error") ?? named(error)}`);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = walker.nextNode()); ) {
    const element = text.parentElement;
    if (element.closest("code, pre, script, style, noscript, textarea, mjx-container") || !visible(element)) continue;
    const raw = text.data.match(/\$[^$]+\$|\$\$|\\[a-zA-Z]{2,}|\\[([]/);
    if (raw) found.push(`raw mathematics: ${text.data.slice(raw.index, raw.index + 50)}`);
  }

  // figures are drawn for a dark page too: no light sheet lies beneath them
  if (document.documentElement.dataset.theme === "dark")
    for (const output of document.querySelectorAll(".cell_output .text_html:has(img.dark-light), .cell_output .text_html:has(figure)"))
      if (visible(output) && !/^rgba\(.*, 0\)$/.test(getComputedStyle(output).backgroundColor)) found.push(`a sheet beneath a figure: ${named(output)}`);

  // nothing sticks out of the screen, be it cut off or to be scrolled to; tables, code and formulas scroll by themselves
  const own = ".math, .highlight, .highlight *, pre, .pst-scrollable-table-container, .cell_output *";
  for (const element of [document.documentElement, ...document.querySelectorAll("main, main div, article, section")]) {
    const whole = element === document.documentElement;
    const limit = whole ? width : element.clientWidth;
    if (!element.clientWidth || element.scrollWidth <= limit + 1 || (!whole && element.matches(own))) continue;
    const edge = (whole ? 0 : element.getBoundingClientRect().left) + limit;
    const wide = [...element.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > edge + 1 && visible(e));
    const inner = wide.find((e) => !e.closest(own) && !wide.some((other) => other !== e && e.contains(other))) ?? wide[0];
    found.push(`wider than its place by ${element.scrollWidth - limit} px: ${named(inner ?? element)}`);
    break;
  }

  // pictures are there, and say what they show
  for (const image of document.images) {
    if (image.loading !== "lazy" && !image.naturalWidth) found.push(`picture is not shown: ${named(image)}`);
    const alt = image.getAttribute("alt");
    const decorative = alt === "" && image.closest(".navbar-brand, [aria-hidden=true], [role=presentation]");
    if (!decorative && (!alt?.trim() || /\.(png|svg|jpe?g|gif|webp)$/i.test(alt)))
      found.push(`picture without a text alternative: ${named(image)}`);
  }
  // and what to look at, but for the figures of solutions
  for (const image of document.querySelectorAll(".cell_output img.dark-light"))
    if (!image.closest("figure:has(figcaption)") && !image.closest(".tag_hide-cell")) found.push(`figure without a caption: ${named(image)}`);
  for (const drawing of document.querySelectorAll("main svg"))
    if (!drawing.closest("[aria-hidden=true], mjx-container, button, a, label") && !drawing.matches("[aria-label], [aria-labelledby]") && !drawing.querySelector("title"))
      found.push(`drawing without a text alternative: ${named(drawing)}`);

  // text stands out from what is behind it
  const rgba = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const [r, g, b, a = 1] = rgba(getComputedStyle(element).backgroundColor);
      if (a > 0.5) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const element of document.querySelectorAll("main :is(p, li, td, th, dt, dd, h1, h2, h3, h4, a, span, code, summary, figcaption)")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !visible(element) || element.closest(".vsa-stage, .headerlink, mjx-container, button, form")) continue;
    const style = getComputedStyle(element);
    if (!style.color.startsWith("rgb")) continue;
    const [one, two] = [luminance(rgba(style.color).slice(0, 3)), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (two + 0.05);
    if (contrast < 3) faint.add(`text is faint, contrast ${contrast.toFixed(1)}: ${named(element)}`);
  }
  found.push(...[...faint].slice(0, 5));
  return found;
}

// ---- the alignment viewer answers: pointer, keyboard, finger ---------------------------------------------------------
async function tryViewer(page, root, touch) {
  const state = () =>
    root.evaluate((viewer) => ({
      status: viewer.querySelector(".vsa-status").textContent,
      lit: [...viewer.querySelectorAll(".vsa-box")].flatMap((box, i) => (box.classList.contains("vsa-best") && getComputedStyle(box).opacity > 0.9 ? i : [])),
      on: [...viewer.querySelectorAll(".vsa-word")].flatMap((word, t) => (word.classList.contains("vsa-on") ? t : [])),
      kept: [...viewer.querySelectorAll(".vsa-word")].findIndex((word) => word.getAttribute("aria-pressed") === "true"),
      focus: [...viewer.querySelectorAll(".vsa-word")].indexOf(document.activeElement),
    }));
  const expect = async (what, test) => {
    let seen;
    for (let patience = 200; patience; patience--) { // a busy machine draws a fading box late
      seen = await state();
      if (test(seen)) return;
      await page.waitForTimeout(50);
    }
    throw new Error(`viewer: ${what}, but ${JSON.stringify(seen)}`);
  };
  const shows = (t) => (seen) => seen.on.length === 1 && seen.on[0] === t && seen.lit.length === 1 && seen.status.includes("→");
  const rests = (seen) => !seen.on.length && !seen.lit.length;

  if (!(await root.getAttribute("data-ready"))) throw new Error("viewer: its script did not run");
  const words = root.locator(".vsa-word");
  const last = (await words.count()) - 1;
  // a used region, and a point in it where the pointer finds it
  const inRegion = await root.evaluate((viewer) => {
    const [box] = [...viewer.querySelectorAll(".vsa-used")].sort((a, b) => a.offsetWidth * a.offsetHeight - b.offsetWidth * b.offsetHeight);
    return { x: box.offsetLeft + box.offsetWidth / 2, y: box.offsetTop + box.offsetHeight / 2 };
  });
  await root.scrollIntoViewIfNeeded();
  if (touch) {
    await root.locator(".vsa-stage").tap({ position: inRegion });
    await expect("a touched region lights its words", (seen) => seen.on.length > 0 && seen.lit.length === 1);
    await words.nth(last).tap();
    await expect("a touched word lights its region and stays", (seen) => shows(last)(seen) && seen.kept === last);
    await words.nth(last).tap();
    await expect("a second touch lets it go", (seen) => seen.kept === -1);
    await words.nth(last).tap();
    await root.locator(".vsa-stage").tap({ position: inRegion });
    await expect("a region touched after a word lights its words", (seen) => seen.on.length > 0 && seen.lit.length === 1);
    return;
  }
  await words.nth(last).hover();
  await expect("the word under the pointer lights its region", shows(last));
  await root.locator(".vsa-stage").hover({ position: inRegion });
  await expect("the region under the pointer lights its words", (seen) => seen.on.length > 0 && seen.lit.length === 1);
  await page.mouse.move(1, 1);
  await expect("without a pointer it rests", rests);
  await words.first().focus();
  await expect("the focused word lights its region", shows(0));
  await page.keyboard.press("End");
  await expect("End goes to the last word", (seen) => shows(last)(seen) && seen.focus === last);
  await page.keyboard.press("ArrowRight");
  await expect("an arrow goes on to the first word", (seen) => shows(0)(seen) && seen.focus === 0);
  await page.keyboard.press("Enter");
  await expect("Enter keeps the word", (seen) => seen.kept === 0);
  await page.keyboard.press("Escape");
  await expect("Escape lets it go", (seen) => seen.kept === -1);
  await page.evaluate(() => document.activeElement.blur());
  await expect("without focus it rests", rests);
  const slider = root.locator(".vsa-beta input");
  if (await slider.count()) {
    await slider.press("End");
    const [shown, beta] = [await root.locator(".vsa-beta output").textContent(), await slider.getAttribute("aria-valuetext")];
    const { betas } = JSON.parse(await root.getAttribute("data-view"));
    if (shown !== betas.at(-1) || beta !== shown) throw new Error(`viewer: the slider at its end says ${shown}, not ${betas.at(-1)}`);
    await slider.press("Home");
  }
}

// ---- one page, one way -----------------------------------------------------------------------------------------------
const links = new Map(); // page -> the addresses on this site to which it leads
async function read(context, name, way) {
  const page = await context.newPage();
  page.setDefaultTimeout(120_000); // a busy machine is not a fault
  const fault = (text) => report(name, way, text);
  page.on("pageerror", (error) => fault(`script error: ${error.message.split("\n")[0]}`));
  page.on("console", (message) => {
    // a failed request is reported as such
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) fault(`console: ${message.text().slice(0, 200)}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !/^(data|blob|about):/.test(request.url())) fault(`asks for something outside: ${request.url()}`);
  });
  page.on("response", (response) => response.status() >= 400 && fault(`${response.status()} for ${response.url().replace(base, "")}`));
  page.on("requestfailed", (request) => {
    if (request.url().startsWith(base)) fault(`request failed: ${request.url().replace(base, "")}`);
  });
  try {
    await page.goto(base + name, { waitUntil: "load" });
    await page.evaluate(async () => {
      await window.MathJax?.startup?.promise;
      await document.fonts.ready;
    });
    const views = await page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count();
    const drawn = () => page.locator(".jupyter-widgets").count();
    for (let patience = 100; patience && (await drawn()) < views; patience--) await page.waitForTimeout(100);
    if ((await drawn()) < views) fault(`only ${await drawn()} of ${views} widgets are drawn`);
    await page.evaluate(() => document.fonts.load("16px FontAwesome")); // icons of widgets, which ask for it late or never
    if (way === "light")
      links.set(name, await page.evaluate(() => [...document.querySelectorAll("a[href], link[rel~=icon]")].map((a) => [a.getAttribute("href"), a.href])));
    for (const seen of await page.evaluate(look, WAYS[way].viewport.width)) fault(seen);
    for (const viewer of await page.locator(".vsa-viewer").all())
      await tryViewer(page, viewer, way === "phone").catch((error) => fault(error.message.split("\n")[0]));
    if (name === "search.html" && way === "light") {
      await page.goto(base + name + "?q=alignment", { waitUntil: "load" });
      await page.locator("#search-results li a").first().waitFor({ timeout: 60_000 }).catch(() => fault("a search finds nothing"));
    }
    if (options.shots) {
      const file = path.join(options.shots, `${name.replace(/\.html$/, "").replaceAll("/", "-")}.${way}.png`);
      const height = Math.min(await page.evaluate(() => document.documentElement.scrollHeight), 8000);
      await page.screenshot({ path: file, fullPage: true, clip: { x: 0, y: 0, width: WAYS[way].viewport.width, height } });
    }
  } catch (error) {
    fault(`could not be read: ${error.message.split("\n")[0]}`);
  }
  await page.close();
}

// ---- links: the page is there, and the place in it -------------------------------------------------------------------
const places = new Map();
function placesIn(name) {
  if (!places.has(name)) {
    const text = fs.readFileSync(path.join(site, name), "utf8");
    places.set(name, new Set([...text.matchAll(/\s(?:id|name)="([^"]+)"/g)].map((match) => match[1])));
  }
  return places.get(name);
}
function follow(name, written, address) {
  if (!address.startsWith(base) || written === "#") return;
  const url = new URL(address);
  let target = decodeURIComponent(url.pathname.slice(1));
  if (target === "" || target.endsWith("/")) target += "index.html";
  if (!fs.existsSync(path.join(site, target))) return report(name, "links", `leads nowhere: ${written}`);
  const place = decodeURIComponent(url.hash.slice(1));
  if (place && target.endsWith(".html") && !placesIn(target).has(place)) report(name, "links", `leads to no place in ${target}: ${written}`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", // no host but the site's own has an address
  ],
});
for (const [way, settings] of Object.entries(WAYS)) {
  const context = await browser.newContext(settings);
  const started = Date.now();
  const waiting = [...pages];
  const reader = async () => {
    for (let name; (name = waiting.shift()); ) {
      // a page that only leads on to another one is followed as a link
      const onward = fs.readFileSync(path.join(site, name), "utf8").match(/http-equiv="refresh" content="0; *url=([^"]+)"/i);
      if (onward) links.set(name, [[onward[1], new URL(onward[1], base + name).href]]);
      else await read(context, name, way);
    }
  };
  await Promise.all([reader(), reader()]); // a page for each of two cores
  console.log(`${way}: ${pages.length} pages in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  await context.close();
}
await browser.close();
server.close();
for (const [name, found] of links) for (const [written, address] of found) follow(name, written, address);

for (const [line, ways] of faults) console.log(`${line}  (${[...ways].join(", ")})`);
console.log(faults.size ? `${faults.size} faults` : `no fault in ${pages.length} pages`);
process.exit(faults.size ? 1 : 0);
