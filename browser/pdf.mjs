// The whole book as one PDF: the single page that Sphinx makes of all chapters, printed by headless Chromium.
//
//   CHROMIUM=/usr/bin/chromium node browser/pdf.mjs PAGE.html BOOK.pdf
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "../_vendor/node_modules/playwright-core/index.mjs";

const [source, target] = process.argv.slice(2).map((name) => path.resolve(name));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage({ colorScheme: "light" });
page.setDefaultTimeout(300_000);
await page.goto(pathToFileURL(source).href, { waitUntil: "load" });
await page.evaluate(async () => {
  document.documentElement.dataset.theme = "light";
  // solutions and long code are folded on a screen; on paper nobody can open them
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
});
const faults = await page.evaluate(() =>
  [...document.querySelectorAll(".math")].filter((math) => !math.querySelector("mjx-container")).length);
if (faults) throw new Error(`${faults} formulas are not set`);
const partial = `${target}.part`;
await page.pdf({
  path: partial,
  format: "A4",
  margin: { top: "18mm", bottom: "18mm", left: "18mm", right: "18mm" },
  printBackground: true,
  displayHeaderFooter: true,
  headerTemplate: "<span></span>",
  footerTemplate: '<p style="font-size:8px;width:100%;text-align:center"><span class="pageNumber"></span></p>',
  outline: true,
  tagged: true, // an outline needs it, and so does a screen reader
});
await browser.close();
fs.renameSync(partial, target);
console.log(`${target}: ${(fs.statSync(target).size / 1e6).toFixed(1)} MB`);
