// The page as a list: each section is a module that fills its part of index.html.

import { start } from "./live.js";
import { startAlerts } from "./alerts.js";
import { startCompleteness } from "./completeness.js";
import { choose, offerMarkets, startMarket } from "./market.js";
import { showPipeline } from "./pipeline.js";
import { startReplication } from "./replication.js";
import { startStreams } from "./streams.js";

start(showPipeline);
startAlerts();
startStreams({ onStreams: offerMarkets, onChoice: choose });
startMarket();
startCompleteness();
startReplication();
