// Shows the OpenAPI document in Swagger UI, which asks nobody else about it, and keeps no token that is typed into it.

const shown = document.getElementById("api");
globalThis.SwaggerUIBundle({ url: shown.dataset.url, domNode: shown, deepLinking: true, validatorUrl: "none" });
