// Keeps the figures of a collection that is under way up to date. Without it the page shows them as they were.
"use strict";
{
    const SECONDS = 2;
    const head = document.querySelector("[data-consistent-s3-progress]");

    function show(told) {
        const texts = {...told.figures, sentence: told.sentence};
        for (const [key, text] of Object.entries(texts)) {
            const place = head.querySelector(`[data-progress="${key}"]`);
            // A text that is the same is left alone, so that nothing is read out twice.
            if (place && place.textContent !== text) {
                place.textContent = text;
            }
        }
        const bar = head.querySelector("progress");
        if (told.percent === null) {
            bar.removeAttribute("value");
        } else {
            bar.value = told.percent;
        }
    }

    async function look() {
        try {
            const answer = await fetch(head.dataset.consistentS3Progress, {headers: {Accept: "application/json"}});
            if (answer.redirected || answer.status === 403 || answer.status === 404) {
                return; // logged out, or not allowed any more: no use in asking again
            }
            if (answer.ok) {
                const told = await answer.json();
                show(told);
                if (told.state !== head.dataset.state) {
                    // What the figures mean has changed, and what can be done.
                    window.location.reload();
                    return;
                }
            }
        } catch {
            // Away for a moment: ask again.
        }
        window.setTimeout(look, SECONDS * 1000);
    }

    if (head) {
        window.setTimeout(look, SECONDS * 1000);
    }
}
