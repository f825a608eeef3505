// What `page_feel.py` does in the page.

function watchLong() {
    window.long = [];
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map((one) => one.duration)))
        .observe({type: "longtask", buffered: true});
}

// Bytes of the answers that came before the first paint, heads included: the driver's word counts all that the
// page loads by itself, which is more than what it waits for.
function painted() {
    return new Promise((resolve) => setTimeout(() => {
        const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 1e9;
        const sent = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
        resolve(sent.filter((one) => one.responseEnd <= first).reduce((sum, one) => sum + one.transferSize, 0));
    }, 500));
}

// Drops a file on the page; null when no card came.
function drop([data, name]) {
    return new Promise((resolve) => {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const moved = new DataTransfer();
        moved.items.add(new File([bytes], name, {type: "image/jpeg"}));
        const before = document.querySelector(".tier .card");
        const clock = setTimeout(() => resolve(null), 20000);
        const look = () => {
            const card = document.querySelector(".tier .card");
            if (!card || card === before) return;
            watch.disconnect();
            // The frame that paints it has begun when this is called, and is over when the message comes.
            requestAnimationFrame(() => {
                const channel = new MessageChannel();
                channel.port1.onmessage = () => {
                    clearTimeout(clock);
                    const sent = performance.getEntriesByType("resource").filter((one) =>
                        one.startTime >= start && one.name.includes("/api/v1/search?"));
                    resolve({painted: performance.now() - start, sent: sent[0].startTime - start,
                        answered: sent[0].responseEnd - start});
                };
                channel.port2.postMessage(null);
            });
        };
        const watch = new MutationObserver(look);
        watch.observe(document.body, {childList: true, subtree: true});
        const start = performance.now();
        document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: moved, bubbles: true, cancelable: true}));
    });
}

async function add(count) {
    const late = Date.now() + 90000, cards = () => document.querySelectorAll(".card").length;
    while (cards() < count && Date.now() < late) {
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise((after) => setTimeout(after, 30));
    }
    return cards();
}

async function scroll() {
    const whole = document.documentElement.scrollHeight;
    for (let share = 1; share > 0; share -= 0.004) {
        scrollTo(0, share * whole);
        await new Promise(requestAnimationFrame);
    }
}
