// Goes on from a link that MLflow's client prints, `#/experiments/1/runs/<run id>`, to where its page is found.

const fragment = location.hash.replace(/^#\/?/, "").split("?")[0];
if (fragment) location.replace(`${document.getElementById("there").dataset.there}/mlflow/${fragment}`);
