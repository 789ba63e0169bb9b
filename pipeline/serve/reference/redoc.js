Redoc.init("openapi.json", { disableGoogleFont: true, hideDownloadButton: true }, document.getElementById("redoc"));
