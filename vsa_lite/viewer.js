// Makes every viewer on the page answer that does not answer yet. No imports, no names left behind.
(() => {
  const mount = (root) => {
    const view = JSON.parse(root.dataset.view);
    const stage = root.querySelector(".vsa-stage");
    const boxes = [...root.querySelectorAll(".vsa-box")];
    const words = [...root.querySelectorAll(".vsa-word")];
    const texts = words.map((word) => word.textContent);
    const status = root.querySelector(".vsa-status");
    const slider = root.querySelector(".vsa-beta input");
    let path = view.paths[slider ? Number(slider.value) : 0];
    let pinned = null;

    const quoted = (region) => {
      const runs = [];
      path.forEach((i, t) => {
        if (i !== region) return;
        if (t && path[t - 1] === region) runs[runs.length - 1] += " " + texts[t];
        else runs.push(texts[t]);
      });
      return runs.map((run) => `“${run}”`).join(", ");
    };
    const drawTruth = (t) => {
      stage.querySelectorAll(".vsa-true").forEach((box) => box.remove());
      for (const [x0, y0, x1, y1] of (t !== null && view.truth[t]) || []) {
        const box = document.createElement("span");
        box.className = "vsa-true";
        box.style.cssText = `left:${100 * x0}%;top:${100 * y0}%;width:${100 * (x1 - x0)}%;height:${100 * (y1 - y0)}%`;
        stage.appendChild(box);
      }
    };
    // light up one region; `strength` says how much of the others to show, `on` which words belong to it
    const light = (best, strength, on) => {
      root.classList.toggle("vsa-asked", best !== null);
      boxes.forEach((box, i) => {
        box.classList.toggle("vsa-best", i === best);
        box.classList.toggle("vsa-used", best === null && path.includes(i));
        box.style.opacity = best === null ? "" : i === best ? 1 : strength(i);
      });
      words.forEach((word, t) => {
        word.classList.toggle("vsa-on", on(t));
        word.setAttribute("aria-pressed", String(t === pinned));
      });
    };
    const showWord = (t) => {
      const best = path[t];
      const at = slider && view.weights.length > 1 ? Number(slider.value) : 0; // weights of this step, or of all
      const strengths = view.strengths[at][t];
      light(best, (i) => (strengths[i] < 0.3 ? 0 : 0.7 * strengths[i] ** 2), (s) => s === t);
      drawTruth(t);
      const overlap = view.overlaps[t] ? `, overlap with the true box ${view.overlaps[t][best]} %` : "";
      status.textContent = `“${texts[t]}” → region ${best} (${view.places[best]}), strength ${view.weights[at][t][best].toFixed(2)}${overlap}`;
    };
    const showRegion = (region) => {
      light(region, () => 0, (t) => path[t] === region);
      drawTruth(null);
      status.textContent = `Region ${region} (${view.places[region]}) ← ${quoted(region)}`;
    };
    const rest = () => {
      if (pinned !== null) return showWord(pinned);
      light(null, () => 0, () => false);
      drawTruth(null);
      status.textContent = "Point at a word or at a region; press a word to keep it.";
    };
    const pin = (t) => {
      pinned = pinned === t ? null : t;
      if (pinned === null) rest();
      else showWord(t);
    };
    const usePath = (next) => {
      path = next;
      words.forEach((word, t) => {
        word.style.setProperty("--c", view.colours[path[t]]);
        const number = boxes[path[t]].textContent;
        word.textContent = texts[t];
        if (number && path[t] !== path[t - 1]) {
          const mark = document.createElement("sup");
          mark.textContent = number;
          mark.setAttribute("aria-hidden", "true");
          word.appendChild(mark);
        }
      });
      rest();
    };
    const move = (t) => {
      words.forEach((word, s) => (word.tabIndex = s === t ? 0 : -1));
      words[t].focus();
    };

    words.forEach((word, t) => {
      word.addEventListener("pointerenter", () => showWord(t));
      word.addEventListener("pointerleave", rest);
      word.addEventListener("focus", () => showWord(t));
      word.addEventListener("blur", rest);
      word.addEventListener("click", () => pin(t));
      word.addEventListener("keydown", (event) => {
        const last = words.length - 1;
        const to = { ArrowRight: t === last ? 0 : t + 1, ArrowLeft: t === 0 ? last : t - 1, Home: 0, End: last }[event.key];
        if (to !== undefined) move(to);
        else if (event.key === "Escape") pin(pinned);
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
    });
    // the smallest region under the pointer that has words
    const under = (event) => {
      const frame = stage.getBoundingClientRect();
      const inside = [...new Set(path)].filter((i) => {
        const box = boxes[i].getBoundingClientRect();
        return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      });
      const area = (i) => (boxes[i].offsetWidth * boxes[i].offsetHeight) / (frame.width * frame.height);
      return inside.sort((a, b) => area(a) - area(b))[0];
    };
    // a finger takes the focus off the word only after "pointerdown", and that word then puts everything out: hence "click"
    for (const kind of ["pointermove", "pointerdown", "click"])
      stage.addEventListener(kind, (event) => {
        const region = under(event);
        if (region === undefined) rest();
        else showRegion(region);
      });
    stage.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && rest());
    if (slider)
      slider.addEventListener("input", () => {
        const beta = view.betas[slider.value];
        slider.setAttribute("aria-valuetext", beta);
        root.querySelector(".vsa-beta output").textContent = beta;
        usePath(view.paths[slider.value]);
      });
    usePath(path);
    root.dataset.ready = "yes";
  };
  document.querySelectorAll(".vsa-viewer:not([data-ready])").forEach(mount);
})();
