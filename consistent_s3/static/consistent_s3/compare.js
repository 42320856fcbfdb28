"use strict";
// Lays the newer picture over the older one, with a slider. Without this script the two stand side by side.
for (const pictures of document.querySelectorAll("[data-consistent-s3-slider]")) {
  const [older, newer] = pictures.querySelectorAll("img");
  const label = document.createElement("label");
  const slider = document.createElement("input");
  const overlay = document.createElement("div");
  overlay.className = "consistent-s3-overlay";
  for (const picture of [older, newer]) {
    const copy = picture.cloneNode();
    copy.alt = "";
    overlay.append(copy);
  }
  slider.type = "range";
  slider.min = "0";
  slider.max = "100";
  slider.value = "50";
  label.className = "consistent-s3-slider";
  label.append(pictures.dataset.consistentS3Slider, slider);
  const show = () => overlay.style.setProperty("--shown", `${slider.value}%`);
  slider.addEventListener("input", show);
  show();
  const stage = document.createElement("div");
  stage.className = "consistent-s3-stage";
  stage.append(label, overlay);
  pictures.before(stage);
}
